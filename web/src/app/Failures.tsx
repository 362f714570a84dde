import { Stack } from '@mantine/core';
import { useRouter, type ErrorComponentProps } from '@tanstack/react-router';
import { Empty } from '../ui/Empty';
import { Problem } from '../ui/Problem';
import { TextLink } from '../ui/TextLink';
import { useTitle } from '../ui/useTitle';

/** Takes the place of a page that broke; the menu stays. */
export function PageFailed({ error, reset }: ErrorComponentProps) {
  const router = useRouter();
  useTitle('Error');
  return (
    <Stack>
      <Problem
        title="This page cannot be shown"
        error={error}
        retry={() => {
          reset();
          void router.invalidate();
        }}
      />
    </Stack>
  );
}

export function NotFound() {
  useTitle('Not found');
  return (
    <Empty title="There is no such page">
      <TextLink to="/">Go to the overview</TextLink>
    </Empty>
  );
}
