/**
 * The verbs `login` and `print token`, and `auth help`: a token for a proof, kept for the verbs
 * to come.
 *
 * Owns the methods that can be logged in by here, and what is printed. A password is asked for
 * without being shown; no token goes anywhere but into its file and, asked or by default, onto
 * stdout.
 */
import { messageOf } from '../../base/errors.ts'
import type { Call } from '../command.ts'
import { ClientError } from '../exchange.ts'
import { askSecret, sourceOf } from './ask.ts'
import type { SecretsClient } from './client.ts'
import { secretsVerb } from './command.ts'
import { readTexts } from './data.ts'
import { Failure, saying } from './failure.ts'
import { fieldFlag, formatFlag, httpFlags, variable } from './flags.ts'
import { complain, isTable, printField, printRaw, printSecret } from './output.ts'
import { barePath, mountPath } from './paths.ts'
import { withSecondFactor } from './second-factor.ts'
import { type Auth, isData, type Secret, secretOf, valueIn } from './secret.ts'
import { wrapped } from './table.ts'
import { keepToken } from './token-file.ts'

/** The fields of a login, as they were given; `mount` among them. */
type Fields = Readonly<Record<string, string>>

interface Method {
  /** What its help says; `K=V` and what it is. */
  readonly help: string
  login(call: Call, client: SecretsClient, fields: Fields): Promise<Secret | undefined>
}

const methods = new Map<string, Method>([
  [
    'token',
    {
      help: `Usage: login [TOKEN]   (- reads it from stdin; without one, it is asked for)

  lookup=false   keep it without asking the server for it`,
      login: loginByToken,
    },
  ],
  ['userpass', passwordMethod('userpass')],
  ['ldap', passwordMethod('ldap')],
  [
    'approle',
    {
      help: `Usage: login -method=approle role_id=ID [secret_id=@FILE]

  role_id=ID       the role
  secret_id=TEXT   its secret: the text, @FILE, or - for stdin`,
      login: (_call, client, { mount = 'approle', role_id, secret_id }) => {
        if (!role_id) throw new Failure("'role_id' must be specified", 1)
        const body = { role_id, ...(secret_id ? { secret_id: secret_id.trim() } : {}) }
        return client.write(`auth/${barePath(mount)}/login`, body)
      },
    },
  ],
])

function passwordMethod(name: string): Method {
  return {
    help: `Usage: login -method=${name} username=NAME [password=-]

  username=NAME   who logs in
  password=TEXT   asked for unless given: the text, @FILE, or - for stdin`,
    async login(call, client, { mount = name, username, password }) {
      if (!username) throw new Failure("'username' must be specified", 1)
      const given = password ?? (await askSecret(call, 'Password', 'give password=-'))
      const path = `auth/${barePath(mount)}/login/${username}`
      return client.write(path, { password: given.replace(/\r?\n$/, '') })
    },
  }
}

async function loginByToken(call: Call, client: SecretsClient, fields: Fields): Promise<Secret> {
  const { token: given, lookup = 'true' } = fields
  const token = (given ?? (await askSecret(call, 'Token', 'pass - to read stdin'))).trim()
  if (token === '') throw new Failure('a token must be passed to auth', 1)
  const empty = secretOf({})
  if (/^(0|f|false)$/i.test(lookup)) return { ...empty, data: null, auth: authOf(token, {}) }
  client.token = token
  client.isWrapping = false
  const found = await saying('error looking up token', client.read('auth/token/lookup-self'))
  return { ...empty, data: null, auth: authOf(token, found?.data ?? {}) }
}

/** What a lookup says of a token, as a login would say it. */
function authOf(token: string, found: Secret['data'] & object): Auth {
  const list = (key: string): readonly string[] => {
    const value = valueIn(found, key)
    return Array.isArray(value) ? value.map(String) : []
  }
  const meta = valueIn(found, 'meta')
  const [own, inherited] = [list('policies'), list('identity_policies')]
  return {
    client_token: token,
    accessor: String(valueIn(found, 'accessor') ?? ''),
    policies: [...new Set([...own, ...inherited])].sort(),
    token_policies: own,
    identity_policies: inherited,
    metadata: isData(meta) ? meta : null,
    lease_duration: Number(valueIn(found, 'ttl') ?? 0),
    renewable: valueIn(found, 'renewable') === true,
  }
}

export const login = secretsVerb({
  usage: '[options] [K=V...]   (auth help METHOD says which)',
  flags: [
    {
      name: 'method',
      kind: 'text',
      doc: `token (default), ${[...methods.keys()].slice(1).join(', ')}`,
    },
    { name: 'path', kind: 'text', doc: 'where the method is mounted (its name)' },
    { name: 'no-store', kind: 'switch', doc: 'print the token only, keep it nowhere' },
    { name: 'no-print', kind: 'switch', doc: 'keep the token, print nothing' },
    { name: 'token-only', kind: 'switch', doc: 'the same as -field=token -no-store' },
    fieldFlag,
    formatFlag,
    ...httpFlags,
  ],
  examples: ['-', '-method=userpass username=ada', '-method=approle role_id=@id secret_id=@secret'],
  args: [0, undefined],
  withToken: false,
  async run(call, client) {
    const { flags } = call
    const isTokenOnly = flags.isOn('token-only')
    const isStored = !isTokenOnly && !flags.isOn('no-store')
    if (flags.isOn('no-store') && flags.isOn('no-print')) {
      throw new Failure('-no-store and -no-print cannot be used together', 1)
    }
    const name = barePath(flags.text('method') ?? '') || 'token'
    const method = methods.get(name)
    if (method === undefined) {
      const known = [...methods.keys()].join(', ')
      const text = `Unknown auth method: ${name}. Known here: ${known}`
      throw new Failure(`${text}; others are paths to write to.`, 1)
    }
    const fields = await fieldsOf(call, name)
    const first = await authenticating(method.login(call, client, fields))
    const answer = await withSecondFactor(call, client, first)
    if (answer?.auth?.mfa_requirement) return printSecret(call, answer)
    const secret = await tokenIn(client, answer, isStored)
    if (secret.auth === undefined) {
      return isTokenOnly ? printField(call, secret, 'wrapping_token') : printSecret(call, secret)
    }
    return isStored ? storeAndPrint(call, secret, secret.auth) : printOnly(call, secret)
  },
})

async function fieldsOf(call: Call, method: string): Promise<Fields> {
  const [first, ...rest] = call.args
  const isBare = method === 'token' && first !== undefined && !first.includes('=')
  const words = isBare ? [`token=${first}`, ...rest] : call.args
  const fields = await readTexts(words, sourceOf(call), 'Error parsing configuration')
  const path = call.flags.text('path')
  return path ? { mount: mountPath(path), ...fields } : fields
}

async function authenticating(work: Promise<Secret | undefined>): Promise<Secret | undefined> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof ClientError) && !(error instanceof Failure)) throw error
    const code = error instanceof Failure ? error.code : 2
    throw new Failure(`Error authenticating: ${error.message}`, code)
  }
}

/** The answer with its token; a wrapped one is unwrapped where the token is to be kept. */
async function tokenIn(client: SecretsClient, answer: Secret | undefined, isUnwrapped: boolean) {
  if (answer === undefined) throw new Failure('the answer of the login is empty', 2)
  if (answer.auth !== undefined) return answer
  if (!answer.wrap_info?.wrapped_accessor) {
    throw new Failure('Error extracting token: the answer holds none', 2)
  }
  if (!isUnwrapped) return answer
  client.token = answer.wrap_info.token
  const inside = await saying('Error extracting token', client.unwrap())
  if (inside?.auth === undefined) throw new Failure('the wrapped answer holds no token', 2)
  return inside
}

async function storeAndPrint(call: Call, secret: Secret, auth: Auth): Promise<number> {
  const { io, flags, program } = call
  try {
    await keepToken(io, auth.client_token)
  } catch (error) {
    io.printError(`Error storing token: ${messageOf(error)}`)
    io.printError('The login succeeded, but its token was not kept; it is printed below.\n')
    printSecret(call, secret)
    return 2
  }
  if (variable(io, 'VAULT_TOKEN') !== undefined) {
    const name = io.environment.BAO_TOKEN ? 'BAO_TOKEN' : 'VAULT_TOKEN'
    const hint = 'It goes before the token that was kept just now; unset it unless that is wanted.'
    io.printError(`${wrapped(`WARNING! The ${name} environment variable is set! ${hint}`)}\n`)
  }
  if (flags.isOn('no-print')) return 0
  const field = flags.text('field')
  if (!field && isTable(call)) {
    const hint = `The token below is kept: there is no need to run "${program} login" again.`
    io.print(`${wrapped(`Success! You are now authenticated. ${hint}`)}\n`)
  }
  return printSecret(call, secret)
}

function printOnly(call: Call, secret: Secret): number {
  if (call.flags.isOn('token-only')) return printField(call, secret, 'token')
  const text = 'The token was not stored: set VAULT_TOKEN to the token below to ask with it.'
  call.io.printError(`${wrapped(text)}\n`)
  return printSecret(call, secret)
}

export const printToken = secretsVerb({
  usage: '   (the token that is asked with)',
  flags: [],
  examples: [''],
  args: [0, 0],
  async run(call, client) {
    if (client.token === undefined) return complain(call, 'There is no token: log in first', 1)
    return printRaw(call, client.token)
  },
})

export const authHelp = secretsVerb({
  usage: '[options] METHOD | PATH',
  flags: httpFlags,
  examples: ['userpass'],
  args: [1, 1],
  async run(call, client) {
    const argument = call.args[0] ?? ''
    const known = methods.get(argument.trim())
    if (known !== undefined) return printHelp(call, known)
    const secret = await saying('Error listing auth methods', client.read('sys/auth'))
    const path = mountPath(barePath(argument))
    const mount = valueIn(secret?.data, path)
    if (!isData(mount)) {
      return complain(call, `No auth method available on the server at "${path}"`, 1)
    }
    const type = String(valueIn(mount, 'type'))
    const method = methods.get(type)
    if (method !== undefined) return printHelp(call, method)
    return complain(call, `Of ${type} nothing is known here; see path-help auth/${path}login`)
  },
})

function printHelp({ io }: Call, { help }: Method): number {
  io.print(help)
  return 0
}
