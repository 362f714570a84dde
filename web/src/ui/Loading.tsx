import { Skeleton, Stack, VisuallyHidden } from '@mantine/core';

/** Holds the place of what is being loaded, so that nothing jumps when it comes. */
export function Loading({ rows = 8, height = 32 }: { rows?: number; height?: number }) {
  return (
    <Stack gap={8} py="xs" aria-busy>
      <VisuallyHidden role="status">Loading</VisuallyHidden>
      {Array.from({ length: rows }, (_, index) => (
        <Skeleton key={index} height={height} />
      ))}
    </Stack>
  );
}
