import { Button } from "@mantine/core";
import { Link } from "@tanstack/react-router";

import { Card, Empty, Page } from "../components/page";

export function NotFound() {
  return (
    <Page title="Page not found">
      <Card>
        <Empty title="Nothing is at this address">
          <Button component={Link} to="/products" mt="sm">
            Go to the products
          </Button>
        </Empty>
      </Card>
    </Page>
  );
}
