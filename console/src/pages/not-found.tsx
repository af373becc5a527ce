import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";

import { Card, Empty, Page } from "../components/page";

export function NotFound() {
  return (
    <Page title={t`Page not found`}>
      <Card>
        <Empty title={t`Nothing is at this address`}>
          <Button component={Link} to="/products" mt="sm">
            <Trans>Go to the products</Trans>
          </Button>
        </Empty>
      </Card>
    </Page>
  );
}
