import { Stack, Text } from '@mantine/core';
import type { ReactNode } from 'react';

interface EmptyProps {
  title: string;
  /** What to do about it. */
  children?: ReactNode;
}

/** Stands where a list would, were there anything in it. */
export function Empty({ title, children }: EmptyProps) {
  return (
    <Stack align="center" gap={4} py="xl" px="md">
      <Text fw={600} ta="center">
        {title}
      </Text>
      {children !== undefined && (
        <Text component="div" size="sm" c="dimmed" ta="center">
          {children}
        </Text>
      )}
    </Stack>
  );
}
