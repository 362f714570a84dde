import { Button, CloseButton, Group, Paper, Text } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { ClearDialog } from '../task/ClearDialog';

interface SelectionBarProps {
  /** How many are selected one by one. */
  count: number;
  /** How many the list holds in all. */
  total: number | null;
  pageIsSelected: boolean;
  /** All that match are meant, whether they are shown or not. */
  allMatching: boolean;
  onAllMatching: (all: boolean) => void;
  /** The filter expression of what is selected. */
  filters: string;
  onClose: () => void;
  onDone: () => void;
}

/** What can be done with the tasks that are selected. */
export function SelectionBar(props: SelectionBarProps) {
  const [clearing, dialog] = useDisclosure();
  const all = `all ${props.total?.toLocaleString('en') ?? ''} that match`;
  return (
    <Paper withBorder px="sm" py={6} mb="xs" role="region" aria-label="Selection">
      <Group gap="sm">
        <Text size="sm" fw={600}>
          {props.allMatching ? `Selected: ${all}` : `${props.count} selected`}
        </Text>
        {props.pageIsSelected && !props.allMatching && (
          <Button size="compact-sm" variant="light" onClick={() => props.onAllMatching(true)}>
            Select {all}
          </Button>
        )}
        <Button size="compact-sm" color="red" onClick={dialog.open}>
          Clear…
        </Button>
        <CloseButton aria-label="Select nothing" ml="auto" onClick={props.onClose} />
      </Group>
      {clearing && (
        <ClearDialog
          filters={props.filters}
          onClose={dialog.close}
          onDone={() => {
            props.onClose();
            props.onDone();
          }}
        />
      )}
    </Paper>
  );
}
