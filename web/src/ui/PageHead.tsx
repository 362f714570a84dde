import { Group, Title } from '@mantine/core';
import type { ReactNode } from 'react';
import { useTitle } from './useTitle';

interface PageHeadProps {
  title: string;
  /** Before the title, like the mark of a status. */
  mark?: ReactNode;
  children?: ReactNode;
}

export function PageHead({ title, mark, children }: PageHeadProps) {
  useTitle(title);
  return (
    <Group justify="space-between" align="center" mb="md" gap="sm" mih={42}>
      <Group gap="sm" wrap="nowrap" miw={0}>
        {mark}
        <Title order={1} size="h2" style={{ overflowWrap: 'anywhere' }}>
          {title}
        </Title>
      </Group>
      {children !== undefined && <Group gap="xs">{children}</Group>}
    </Group>
  );
}
