/**
 * A request as a curl command, for `-output-curl-string`.
 *
 * Owns the text. The token is never in it: it is asked for when the command runs.
 */
import type { Flags } from '../command.ts'

/** What would have been sent. */
export interface Sent {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: Buffer | undefined
}

/** The command; `program` is what prints the token. */
export function curlText(
  { method, url, headers, body }: Sent,
  { flags, program }: { readonly flags: Flags; readonly program: string },
): string {
  const file = (option: string, flag: string): string[] => {
    const path = flags.text(flag)
    return path ? [option, quoted(path)] : []
  }
  const sent = Object.entries(headers).flatMap(([name, value]) =>
    [value].flat().map(each => {
      const isToken = name.toLowerCase() === 'x-vault-token'
      return `-H "${name}: ${isToken ? `$(${program} print token)` : each}"`
    }),
  )
  return [
    'curl',
    ...(flags.isOn('tls-skip-verify') ? ['--insecure'] : []),
    ...(method === 'GET' ? [] : ['-X', method]),
    ...file('--cacert', 'ca-cert'),
    ...file('--capath', 'ca-path'),
    ...file('--cert', 'client-cert'),
    ...file('--key', 'client-key'),
    ...sent,
    ...(body === undefined || body.length === 0 ? [] : ['-d', quoted(body.toString('utf8'))]),
    /[^\w./:@-]/.test(url) ? JSON.stringify(url) : url,
  ].join(' ')
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'"'"'`)}'`
