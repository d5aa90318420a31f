/**
 * The verb `server`: its flags and variables, what it prints, and where it keeps the token. The
 * server itself is a double here; test/system/server.test.ts runs the real one.
 */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import type { SettledConfig } from '../../src/agent/config.ts'
import type { RunningAgent } from '../../src/agent/running.ts'
import { Flags } from '../../src/cli/command.ts'
import { parseWords } from '../../src/cli/parse.ts'
import { serverCommand } from '../../src/cli/server.ts'
import { tempFolder } from '../clients/process.ts'
import { fakeIo } from './support.ts'

interface Run {
  readonly process: ReturnType<typeof fakeIo>
  readonly code: Promise<number>
  readonly started: SettledConfig[]
}

function start(t: Test, words: string[], environment: Record<string, string> = {}): Run {
  const started: SettledConfig[] = []
  const command = serverCommand(async () => async (config): Promise<RunningAgent> => {
    started.push(config)
    const host = config.addresses.secrets[0] ?? ''
    return {
      addresses: [{ face: 'secrets', host, port: config.ports.secrets }],
      awaitsBootstrap: false,
      ...(config.isDev ? { rootToken: config.secrets.rootToken ?? 'hvs.drawn' } : {}),
      ...(config.isDev ? { unsealKey: 'a2V5' } : {}),
      reload: async () => [],
      stop: async () => {},
    }
  })
  const process = fakeIo({ HOME: tempFolder(t), ...environment })
  const log = `-log-file=${join(process.io.environment.HOME ?? '', 'server.log')}`
  const parsed = parseWords('vault server', command, [log, ...words])
  if (parsed.kind !== 'call') throw new Error(parsed.text)
  const call = { program: 'vault', flags: new Flags(parsed.flags), args: parsed.args }
  return { process, code: command.run({ ...call, io: process.io }), started }
}

async function textOf({ process, code }: Run): Promise<string> {
  const early = code.then(() => {
    throw new Error(process.errors.join('\n'))
  })
  const printed = (async () => {
    while (process.out.length === 0) await new Promise(resolve => setTimeout(resolve, 5))
  })()
  await Promise.race([printed, early])
  process.signal('SIGTERM')
  await code
  return process.out.join('\n')
}

const tokenFile = ({ process }: Run): string =>
  join(process.io.environment.HOME ?? '', '.vault-token')

t.test('-dev prints what tools look for, and keeps the token', async t => {
  const run = start(t, ['-dev', '-dev-root-token-id=root', '-dev-listen-address=127.0.0.1:18200'])
  const text = await textOf(run)
  t.match(text, /^Root Token: root$/m)
  t.match(text, /^Unseal Key: a2V5$/m)
  t.match(text, /^ *Api Address: http:\/\/127\.0\.0\.1:18200$/m)
  t.match(text, "export VAULT_ADDR='http://127.0.0.1:18200'")
  t.equal(readFileSync(tokenFile(run), 'utf8'), 'root')
  t.equal(statSync(tokenFile(run)).mode & 0o777, 0o600)
  t.equal(await run.code, 0)
})

t.test('variables stand for flags, BAO_… first, and flags go before them', async t => {
  const environment = {
    VAULT_DEV_ROOT_TOKEN_ID: 'v',
    BAO_DEV_ROOT_TOKEN_ID: 'b',
    VAULT_DEV_LISTEN_ADDRESS: '127.0.0.1:18201',
  }
  const run = start(t, ['-dev', '-dev-no-store-token'], environment)
  t.match(await textOf(run), /^Root Token: b$/m)
  t.equal(run.started[0]?.ports.secrets, 18_201)
  t.notOk(existsSync(tokenFile(run)))
  const flagged = start(t, ['-dev', '-dev-root-token-id=f'], environment)
  t.match(await textOf(flagged), /^Root Token: f$/m)
})

t.test('a token that cannot be kept is told, and the server runs', async t => {
  const homeless = start(t, ['-dev', '-dev-root-token-id=r'])
  Object.assign(homeless.process.io.environment, { HOME: '' })
  t.match(await textOf(homeless), /not written to ~\/\.vault-token: HOME is not set/)
})

t.test('a file says where it is, and nothing of keys', async t => {
  const file = join(tempFolder(t), 'v.hcl')
  writeFileSync(
    file,
    `storage "file" { path = "${tempFolder(t)}" }
     listener "tcp" { address = "127.0.0.1:8200" tls_disable = 1 }
     api_addr = "https://vault.example:8200"`,
  )
  const run = start(t, [`-config=${file}`, '-log-level=debug', '-log-format=json'])
  const text = await textOf(run)
  t.match(text, /^ *Api Address: https:\/\/vault\.example:8200$/m)
  t.notMatch(text, /Token|Unseal/)
  t.match(run.started[0]?.log, { level: 'debug', json: true })
})

t.test('what is wrong ends it with 1 before anything starts', async t => {
  const cases: [string[], RegExp][] = [
    [[], /Must specify at least one config path using -config/],
    [['-dev', '-dev-tls'], /not served yet: -dev-tls/],
    [['-recovery'], /not served yet: -recovery/],
    [['-dev', 'more'], /Unexpected argument: more/],
    [['-dev', '-log-format=xml'], /-log-format: must be standard or json/],
    [['-config=/none.hcl'], /-config: /],
  ]
  for (const [words, expected] of cases) {
    const run = start(t, words)
    t.equal(await run.code, 1, words.join(' '))
    t.match(run.process.errors.join('\n'), expected)
    t.same(run.started, [])
  }
})
