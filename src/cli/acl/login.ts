/**
 * The verbs `login` and `logout`: a token for a proof by an auth method, and its end.
 *
 * Owns their flags and texts, which are those of Consul's command line. Neither the proof nor the
 * token is printed: the token goes into a file that its owner alone can read.
 */
import { readFile } from 'node:fs/promises'
import { messageOf } from '../../base/errors.ts'
import { writeFileAtomic } from '../../base/io/file.ts'
import { asking, ClientError, queryFlags } from '../client.ts'
import { countMistake, fail, type Io } from '../command.ts'

export const login = asking('Error logging in', {
  usage: '[options] -method=NAME -bearer-token-file=FILE -token-sink-file=FILE',
  flags: [
    { name: 'method', kind: 'text', doc: 'the auth method to log in by' },
    {
      name: 'bearer-token-file',
      kind: 'text',
      doc: 'file of the proof, such as a JWT; - reads stdin',
    },
    { name: 'token-sink-file', kind: 'text', doc: 'file to write the token to' },
    { name: 'meta', kind: 'list', doc: 'said of the token: key=value; may be repeated' },
    ...queryFlags,
  ],
  examples: ['-method=ci -bearer-token-file=ci.jwt -token-sink-file=gatehouse.token'],
  async run({ flags, args, io }, client) {
    const mistake = countMistake(args, 0)
    if (mistake !== undefined) return fail(io, 'Should have no non-flag arguments.')
    const method = flags.text('method')
    const [proofFile, sink] = [flags.text('bearer-token-file'), flags.text('token-sink-file')]
    if (!method) return fail(io, "Missing required '-method' flag")
    if (!sink) return fail(io, "Missing required '-token-sink-file' flag")
    if (!proofFile) return fail(io, "Missing required '-bearer-token-file' flag")
    const BearerToken = await proofFrom(proofFile, io)
    if (BearerToken === '') return fail(io, 'Error: the file of the bearer token is empty')
    const Meta = metaOf(flags.list('meta'))
    const body = Buffer.from(JSON.stringify({ AuthMethod: method, BearerToken, Meta }))
    const answer = await client.send('POST', '/v1/acl/login', {}, body)
    const { SecretID } = JSON.parse(answer) as { SecretID: string }
    try {
      await writeFileAtomic(sink, SecretID)
    } catch (error) {
      throw new ClientError(`cannot write the token file ${sink}: ${messageOf(error)}`)
    }
    return 0
  },
})

async function proofFrom(file: string, io: Io): Promise<string> {
  if (file === '-') return (await io.readStdin()).toString('utf8').trim()
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (error) {
    throw new ClientError(`cannot read the bearer token file: ${messageOf(error)}`)
  }
}

function metaOf(given: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    given.map(text => {
      const at = text.indexOf('=')
      if (at <= 0) throw new ClientError('-meta must be key=value')
      return [text.slice(0, at), text.slice(at + 1)]
    }),
  )
}

export const logout = asking('Error destroying token', {
  usage: '[options]   (ends the token that it is asked with)',
  flags: queryFlags,
  examples: ['-token-file=gatehouse.token'],
  async run({ args, io }, client) {
    if (args.length > 0) return fail(io, 'Should have no non-flag arguments.')
    await client.send('POST', '/v1/acl/logout')
    return 0
  },
})
