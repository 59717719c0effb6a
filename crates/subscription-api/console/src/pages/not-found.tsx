import { Link } from '../router';
import { Heading } from '../ui/shell';

export const NotFound = () => (
  <>
    <Heading title="There is no such page" />
    <p>
      The address may be mistyped, or it is one that your token does not open. <Link to="/">Go to the overview</Link>.
    </p>
  </>
);
