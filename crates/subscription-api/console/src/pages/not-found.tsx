import { Link } from '../router';
import { Heading } from '../ui/shell';

export const NotFound = () => (
  <>
    <Heading title="There is no such page" />
    <p>
      The address may be mistyped, or your token may not open it. <Link to="/">Go to the overview</Link>.
    </p>
  </>
);
