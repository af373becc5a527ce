// Two versions of one thing: a colleague's, which is saved, and one's own.
import { Alert, Button, Group, Stack, Table } from "@mantine/core";
import { IconUsers } from "@tabler/icons-react";

export interface ConflictField {
  name: string;
  theirs: string;
  mine: string;
}

export function Conflict({ fields, onMine, onTheirs }: { fields: ConflictField[]; onMine: () => void; onTheirs: () => void }) {
  return (
    <Alert color="orange" variant="light" icon={<IconUsers aria-hidden />} title="Somebody else has changed this meanwhile" role="alert">
      <Stack gap="sm">
        <Table verticalSpacing={4} aria-label="Both versions">
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Field</Table.Th>
              <Table.Th>Theirs, saved</Table.Th>
              <Table.Th>Yours</Table.Th>
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
            Save mine
          </Button>
          <Button size="xs" variant="default" onClick={onTheirs}>
            Take theirs
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}
