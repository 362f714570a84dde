import { Button, Group, Modal, Stack, Text } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, bodyOf } from '../api/client';
import type { Task } from '../api/types';
import { formatDuration } from '../time/format';
import { Problem } from '../ui/Problem';
import { ReasonInput } from './ReasonInput';

/** Asks a task to stop: the gentle way. */
export function CancelDialog({ task, onClose }: { task: Task; onClose: () => void }) {
  const [reason, setReason] = useState('');
  const queryClient = useQueryClient();
  const cancel = useMutation({
    mutationFn: () =>
      bodyOf(
        api.POST('/stint/v1/tasks/{id}/cancel', { params: { path: { id: task.id } }, body: { reason: reason.trim() } }),
      ),
    onSuccess: async () => {
      await queryClient.invalidateQueries({ queryKey: ['tasks'] });
      onClose();
    },
  });
  return (
    <Modal opened onClose={onClose} title="Cancel this task">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          cancel.mutate();
        }}
      >
        <Stack>
          <Text size="sm">{whatHappens(task)}</Text>
          <ReasonInput value={reason} onChange={setReason} />
          {cancel.isError && <Problem error={cancel.error} />}
          <Group justify="flex-end">
            <Button variant="default" onClick={onClose}>
              Leave it running
            </Button>
            <Button type="submit" color="orange" loading={cancel.isPending} disabled={reason.trim() === ''}>
              Cancel the task
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

function whatHappens(task: Task): string {
  if (task.state === 'queued') return 'It has not begun: it ends at once, as Terminated.';
  if (task.heartbeatLimitSeconds === null)
    return 'Stint runs it: it stops after the step it is at, and ends as Terminated.';
  const limit = formatDuration(task.heartbeatLimitSeconds * 1000);
  return `Its worker is told to stop with its next report, and it ends as Terminated; where none comes within ${limit}, it ends without.`;
}
