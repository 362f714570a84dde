import { Button, Group, Text } from '@mantine/core';
import { pageSize } from './queries';
import type { useTaskList } from './useTaskList';

/** Walks the pages of a list, which a cursor holds together whatever comes in meanwhile. */
export function Pager({ list }: { list: ReturnType<typeof useTaskList> }) {
  const first = list.pageIndex * pageSize + 1;
  const show = (page: number) => {
    void list.showPage(page).then(() => {
      window.scrollTo({ top: 0 });
    });
  };
  if (list.items.length === 0 || (list.pageIndex === 0 && !list.hasNext)) return null;
  return (
    <Group component="nav" aria-label="Pages of the list" justify="flex-end" gap="xs" my="sm">
      <Text size="sm" className="tabular">
        {first.toLocaleString('en')} to {(first + list.items.length - 1).toLocaleString('en')}
      </Text>
      <Button variant="default" size="xs" disabled={list.pageIndex === 0} onClick={() => show(list.pageIndex - 1)}>
        Previous
      </Button>
      <Button
        variant="default"
        size="xs"
        disabled={!list.hasNext}
        loading={list.query.isFetchingNextPage}
        onClick={() => show(list.pageIndex + 1)}
      >
        Next
      </Button>
    </Group>
  );
}
