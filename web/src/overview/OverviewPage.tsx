import { PageHead } from '../ui/PageHead';

export function OverviewPage() {
  return <PageHead title="Overview" />;
}
