import { Table, type TableProps } from '@mantine/core';
import classes from './WideTable.module.css';

interface WideTableProps extends TableProps {
  /** What the rows are. */
  label: string;
  /** Below this width the table scrolls; without it, it gives way. */
  scrollBelow?: number;
}

/** A table that scrolls by itself where it is wider than the page. */
export function WideTable({ label, scrollBelow = 0, ...props }: WideTableProps) {
  return (
    // What can be scrolled must be reachable by the keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div className={classes.scroll} role="region" aria-label={label} tabIndex={0}>
      <Table verticalSpacing={6} highlightOnHover miw={scrollBelow} {...props} />
    </div>
  );
}
