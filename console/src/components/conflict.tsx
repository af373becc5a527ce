// Two versions of one thing: a colleague's, which is saved, and one's own.
import { t } from "@lingui/core/macro";
import { Trans } from "@lingui/react/macro";
import { Alert, Button, Group, Stack, Table } from "@mantine/core";
import { IconUsers } from "@tabler/icons-react";

export interface ConflictField {
  name: string;
  theirs: string;
  mine: string;
}

export function Conflict({ fields, onMine, onTheirs }: { fields: ConflictField[]; onMine: () => void; onTheirs: () => void }) {
  return (
    <Alert color="orange" variant="light" icon={<IconUsers aria-hidden />} title={t`Somebody else has changed this meanwhile`} role="alert">
      <Stack gap="sm">
        <Table verticalSpacing={4} aria-label={t`Both versions`}>
          <Table.Thead>
            <Table.Tr>
              <Table.Th><Trans>Field</Trans></Table.Th>
              <Table.Th><Trans>Theirs, saved</Trans></Table.Th>
              <Table.Th><Trans>Yours</Trans></Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {fields
              .filter(({ theirs, mine }) => theirs !== mine)
              .map(({ name, theirs, mine }) => (
                <Table.Tr key={name}>
                  <Table.Td>{name}</Table.Td>
                  <Table.Td>{theirs || "–"}</Table.Td>
                  <Table.Td>{mine || "–"}</Table.Td>
                </Table.Tr>
              ))}
          </Table.Tbody>
        </Table>
        <Group gap="xs">
          <Button size="xs" onClick={onMine}>
            <Trans>Save mine</Trans>
          </Button>
          <Button size="xs" variant="default" onClick={onTheirs}>
            <Trans>Take theirs</Trans>
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}
