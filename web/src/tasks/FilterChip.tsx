import { ActionIcon, Button, Group, Popover } from '@mantine/core';
import { IconChevronDown, IconX } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import classes from './FilterBar.module.css';

interface FilterChipProps {
  label: string;
  /** What is chosen, for people; null is nothing. */
  value: string | null;
  onRemove: () => void;
  /** Where it is chosen. */
  children: ReactNode;
}

/** One filter: says what is chosen, opens where that is done, and can be removed. */
export function FilterChip({ label, value, onRemove, children }: FilterChipProps) {
  return (
    <Group gap={0} wrap="nowrap" className={classes.chip} data-set={value !== null || undefined}>
      <Popover position="bottom-start" withinPortal trapFocus returnFocus>
        <Popover.Target>
          <Button
            size="compact-sm"
            variant="transparent"
            c="inherit"
            className={classes.chipButton}
            rightSection={value === null ? <IconChevronDown size={14} aria-hidden /> : undefined}
          >
            {value === null ? label : `${label}: ${value}`}
          </Button>
        </Popover.Target>
        <Popover.Dropdown miw={220} maw={340}>
          {children}
        </Popover.Dropdown>
      </Popover>
      {value !== null && (
        <ActionIcon
          size="sm"
          variant="transparent"
          c="inherit"
          aria-label={`Remove the filter ${label}`}
          onClick={onRemove}
        >
          <IconX size={14} />
        </ActionIcon>
      )}
    </Group>
  );
}
