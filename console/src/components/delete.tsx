// A button that deletes something, which says first what that does.
import { Trans } from "@lingui/react/macro";
import { Button, Group, Modal, Stack } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import type { ReactNode } from "react";

import { ErrorNotice } from "./page";

export function Delete({ title, busy, error, onDelete, children }: { title: string; busy: boolean; error: unknown; onDelete: () => void; children: ReactNode }) {
  const [opened, { open, close }] = useDisclosure();
  return (
    <>
      <Button variant="subtle" color="red" onClick={open}>
        <Trans>Delete</Trans>
      </Button>
      <Modal opened={opened} onClose={close} title={title}>
        <Stack>
          {children}
          {error ? <ErrorNotice error={error} /> : null}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              <Trans>Keep it</Trans>
            </Button>
            <Button color="red" loading={busy} onClick={onDelete}>
              <Trans>Delete it</Trans>
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}
