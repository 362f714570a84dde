import { Alert, Button, Group, List, Modal, Progress, Select, Stack, Text } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { api, bodyOf } from '../api/client';
import type { CompletionStatus } from '../api/types';
import { Loading } from '../ui/Loading';
import { Problem } from '../ui/Problem';
import { lookNames } from '../ui/status';
import { ReasonInput } from './ReasonInput';

const choices: CompletionStatus[] = ['TERMINATED', 'ERROR', 'TEMPERROR', 'WARNING', 'SUCCESS'];

/** How many tasks one request clears at most. */
const batch = 250;

interface ClearDialogProps {
  /** Which tasks. */
  filters: string;
  onClose: () => void;
  onDone: () => void;
}

/** Ends tasks by hand: shows first what would happen, then asks why. */
export function ClearDialog({ filters, onClose, onDone }: ClearDialogProps) {
  const [status, setStatus] = useState<CompletionStatus>('TERMINATED');
  const [reason, setReason] = useState('');
  const [cleared, setCleared] = useState(0);
  const queryClient = useQueryClient();
  const preview = useQuery({
    queryKey: ['clear', filters],
    queryFn: ({ signal }) =>
      bodyOf(api.POST('/stint/v1/tasks/clear', { body: { filters, dryRun: true, limit: batch }, signal })),
    gcTime: 0,
    staleTime: Infinity,
  });
  const clear = useMutation({
    mutationFn: async () => {
      let done = 0;
      for (;;) {
        const answer = await bodyOf(
          api.POST('/stint/v1/tasks/clear', {
            body: { filters, completionStatus: status, reason: reason.trim(), limit: batch },
          }),
        );
        done += answer.cleared;
        setCleared(done);
        if (!answer.more || answer.cleared === 0) return done;
      }
    },
    onSuccess: (done) => {
      void queryClient.invalidateQueries({ queryKey: ['tasks'] });
      if (done === preview.data?.matched) onDone();
    },
  });
  const matched = preview.data?.matched ?? 0;
  const name = matched === 1 ? 'task' : 'tasks';
  return (
    <Modal
      opened
      onClose={onClose}
      title={`Clear ${preview.data ? matched.toLocaleString('en') : ''} ${name}`}
      size="lg"
    >
      {preview.isPending && <Loading rows={4} />}
      {preview.isError && <Problem error={preview.error} retry={() => void preview.refetch()} />}
      {preview.data?.matched === 0 && <Text>None of them is in progress any more: there is nothing to clear.</Text>}
      {matched > 0 && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            clear.mutate();
          }}
        >
          <Stack>
            <Text size="sm">
              {matched === 1 ? 'This task ends' : `These ${matched.toLocaleString('en')} tasks end`} now, as the status
              you choose, and for good. Whoever carries {matched === 1 ? 'it' : 'them'} out is told to stop with the
              next report, and what is reported later is refused. Your name and your reason go to the history and the
              audit.
            </Text>
            <List size="sm" withPadding>
              {preview.data?.tasks.slice(0, 6).map((task) => (
                <List.Item key={task.id}>{task.uniqueName}</List.Item>
              ))}
              {matched > 6 && <List.Item>and {(matched - 6).toLocaleString('en')} more</List.Item>}
            </List>
            <Select
              label="End as"
              data={choices.map((value) => ({ value, label: lookNames[value] }))}
              value={status}
              onChange={(value) => value !== null && setStatus(value)}
              allowDeselect={false}
            />
            <ReasonInput value={reason} onChange={setReason} />
            {clear.isPending && matched > batch && (
              <Progress value={(cleared / matched) * 100} aria-label="Cleared so far" animated />
            )}
            {clear.isError && (
              <Problem title={`${cleared.toLocaleString('en')} were cleared, then it stopped`} error={clear.error} />
            )}
            {clear.isSuccess && clear.data !== matched && (
              <Alert
                color="yellow"
                title={`${clear.data.toLocaleString('en')} of ${matched.toLocaleString('en')} were cleared`}
              >
                The others ended by themselves meanwhile, or you may not end them.
              </Alert>
            )}
            <Group justify="flex-end">
              <Button variant="default" onClick={clear.isSuccess ? onDone : onClose}>
                {clear.isSuccess ? 'Close' : 'Leave as it is'}
              </Button>
              {!clear.isSuccess && (
                <Button type="submit" color="red" loading={clear.isPending} disabled={reason.trim() === ''}>
                  Clear {matched.toLocaleString('en')} {name}
                </Button>
              )}
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  );
}
