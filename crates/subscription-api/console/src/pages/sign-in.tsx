import { useEffect, useState } from 'preact/hooks';
import { readIdentity } from '../api/me';
import { beginSession, signOutReason } from '../session';
import { Button, Note, ProblemNote } from '../ui/basics';
import { useRun } from '../ui/dialog';
import { TextField } from '../ui/fields';
import { ThemeChoice } from '../ui/shell';

export function SignIn() {
  const [token, setToken] = useState('');
  const { busy, problem, go } = useRun(async () => beginSession(token.trim(), await readIdentity(token.trim())));
  useEffect(() => {
    document.title = 'Sign in – Postrider';
  }, []);
  const submit = (event: Event) => {
    event.preventDefault();
    if (token.trim()) void go();
  };
  return (
    <main class="alone">
      <div class="card sign-in">
        <h1>Postrider console</h1>
        {signOutReason.value && !problem && <Note>{signOutReason.value}</Note>}
        <form onSubmit={submit}>
          <TextField
            label="Token"
            type="password"
            value={token}
            onChange={setToken}
            autoComplete="off"
            focus
            mono
            required
            hint="A brand's token shows that brand, and a support token shows everything. The open tabs of this console share the token until you close the last one or sign out."
            errors={problem?.status === 401 ? ['This token is not valid. Check that you copied all of it.'] : []}
          />
          {problem?.status !== 401 && <ProblemNote problem={problem} />}
          <Button type="submit" kind="main" busy={busy}>
            Sign in
          </Button>
        </form>
        <details>
          <summary>Where do I get a token?</summary>
          <p>
            Support creates tokens for brands in this console, under Brands. The support token is the setting{' '}
            <code>POSTRIDER_SUPPORT_TOKEN</code>; <code>deploy/up</code> prints it.
          </p>
        </details>
        <ThemeChoice />
      </div>
    </main>
  );
}
