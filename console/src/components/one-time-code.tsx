// The field for the code of a second factor.
import { t } from "@lingui/core/macro";
import { TextInput } from "@mantine/core";

export function OneTimeCode({ value, description = t`The six digits of the app, or a recovery code`, error, onChange }: { value: string; description?: string; error?: string | undefined; onChange: (code: string) => void }) {
  return (
    <TextInput
      label={t`One-time code`}
      description={description}
      autoComplete="one-time-code"
      required
      autoFocus
      maxLength={32}
      value={value}
      error={error}
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  );
}
