import { ActionIcon, Button, Group, NavLink, Popover, Stack, Text, TextInput } from '@mantine/core';
import { IconBookmark, IconX } from '@tabler/icons-react';
import { useState } from 'react';
import { parseSearch, stringifySearch } from '../app/url';
import { useSavedViews } from '../settings/settings';
import { readSearch, type TaskSearch } from './search';

/** Filters under a name, kept in this browser. */
export function SavedViews({ search, onOpen }: { search: TaskSearch; onOpen: (search: TaskSearch) => void }) {
  const [views, setViews] = useSavedViews();
  const [opened, setOpened] = useState(false);
  const [name, setName] = useState('');
  const save = () => {
    const view = { name: name.trim(), search: stringifySearch({ ...search }) };
    setViews([...views.filter((other) => other.name !== view.name), view].sort((a, b) => a.name.localeCompare(b.name)));
    setName('');
  };
  return (
    <Popover position="bottom-end" opened={opened} onChange={setOpened} withinPortal trapFocus width={280}>
      <Popover.Target>
        <Button
          variant="default"
          size="xs"
          leftSection={<IconBookmark size={14} aria-hidden />}
          onClick={() => setOpened(!opened)}
        >
          Views
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <Stack gap="xs">
          {views.length === 0 && (
            <Text size="sm" c="dimmed">
              No view is saved yet. Filter the list, and give the filters a name.
            </Text>
          )}
          {views.map((view) => (
            <Group key={view.name} gap={4} wrap="nowrap">
              <NavLink
                component="button"
                label={view.name}
                onClick={() => {
                  setOpened(false);
                  onOpen(readSearch(parseSearch(view.search)));
                }}
              />
              <ActionIcon
                variant="subtle"
                color="gray"
                aria-label={`Forget ${view.name}`}
                onClick={() => setViews(views.filter((other) => other !== view))}
              >
                <IconX size={14} />
              </ActionIcon>
            </Group>
          ))}
          <form
            onSubmit={(event) => {
              event.preventDefault();
              save();
            }}
          >
            <Group gap="xs" wrap="nowrap" align="flex-end">
              <TextInput
                size="xs"
                label="Save these filters as"
                value={name}
                onChange={(event) => setName(event.currentTarget.value)}
                required
              />
              <Button size="xs" type="submit">
                Save
              </Button>
            </Group>
          </form>
        </Stack>
      </Popover.Dropdown>
    </Popover>
  );
}
