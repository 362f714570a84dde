import { useQuery } from '@tanstack/react-query';
import { definitionsQuery } from './queries';

/** The name that people know a type of tasks by. */
export function KindName({ kind }: { kind: string }) {
  const definitions = useQuery(definitionsQuery);
  const known = definitions.data?.find((definition) => definition.name === kind);
  return <span title={kind}>{known?.displayName ?? kind}</span>;
}
