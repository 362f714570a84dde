import { Button, Checkbox, Popover, Stack } from '@mantine/core';
import { IconColumns3 } from '@tabler/icons-react';
import { metaOf, type TaskColumns } from './columns';

export function ColumnMenu({ columns }: { columns: TaskColumns }) {
  return (
    <Popover position="bottom-end" withinPortal trapFocus>
      <Popover.Target>
        <Button variant="default" size="xs" leftSection={<IconColumns3 size={14} aria-hidden />} visibleFrom="sm">
          Columns
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <Stack gap={8}>
          {columns.all.map((definition) => {
            const id = definition.id ?? '';
            return (
              <Checkbox
                key={id}
                size="sm"
                label={metaOf(definition).label}
                disabled={id === 'name'}
                checked={!columns.hidden.includes(id)}
                onChange={() => columns.toggle(id)}
              />
            );
          })}
          <Button size="compact-xs" variant="subtle" onClick={columns.reset}>
            As at first
          </Button>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
