// A button that deletes something, which says first what that does.
import { Button, Group, Modal, Stack } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import type { ReactNode } from "react";

import { ErrorNotice } from "./page";

export function Delete({ name, busy, error, onDelete, children }: { name: string; busy: boolean; error: unknown; onDelete: () => void; children: ReactNode }) {
  const [opened, { open, close }] = useDisclosure();
  return (
    <>
      <Button variant="subtle" color="red" onClick={open}>
        Delete
      </Button>
      <Modal opened={opened} onClose={close} title={`Delete ${name}?`}>
        <Stack>
          {children}
          {error ? <ErrorNotice error={error} /> : null}
          <Group justify="flex-end">
            <Button variant="default" onClick={close}>
              Keep it
            </Button>
            <Button color="red" loading={busy} onClick={onDelete}>
              Delete it
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  );
}
