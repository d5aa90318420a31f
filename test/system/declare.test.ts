/**
 * The declarative start on a real server: the example of docs/declarative.md by the command line,
 * twice, and the stanza `initialize`, over restarts.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { program, root } from '../clients/daemon.ts'
import { freePort, type Launched, launch, tempFolder, until } from '../clients/process.ts'

const SEAL = `seal "static" {
  current_key_id = "k"
  current_key = "0011223344556677889900112233445566778899001122334455667788990011"
}`
const PASSWORD = 'canary-password'

const page = readFileSync(join(root, 'docs/declarative.md'), 'utf8')
const example = /```hcl\n(.*?)```/s.exec(page)?.[1] ?? ''

const configOf = (folder: string, port: number, more = ''): string => {
  const file = join(folder, 'vault.hcl')
  writeFileSync(
    file,
    `storage "file" { path = "${folder}/data" }
     listener "tcp" { address = "127.0.0.1:${port}" tls_disable = 1 }
     ${SEAL}
     ${more}`,
  )
  return file
}

async function started(t: Test, file: string): Promise<Launched> {
  const env = { OPS_PASSWORD: PASSWORD, HOME: tempFolder(t) }
  const server = launch(t, program, ['server', `-config=${file}`], { env })
  await until('it is ready', () => /Ready\./.test(server.stdout()) || !server.isRunning())
  return server
}

async function login(port: number): Promise<string | undefined> {
  const answer = await fetch(`http://127.0.0.1:${port}/v1/auth/userpass/login/ops`, {
    method: 'POST',
    body: JSON.stringify({ password: PASSWORD }),
  })
  const { auth } = (await answer.json()) as { auth?: { client_token: string } }
  return auth?.client_token
}

async function get(port: number, path: string, token = '', method = 'GET') {
  const headers = { 'x-vault-token': token }
  const answer = await fetch(`http://127.0.0.1:${port}/v1/${path}`, { method, headers })
  // biome-ignore lint/suspicious/noExplicitAny: bodies of many paths
  return (await answer.json()) as any
}

/** How many tokens there are beside the one that asks. */
async function others(port: number, token: string): Promise<string[]> {
  const { data } = await get(port, 'auth/token/accessors', token, 'LIST')
  const { data: own } = await get(port, 'auth/token/lookup-self', token)
  return data.keys.filter((each: string) => each !== own.accessor)
}

t.test('the example of the page, from nothing, and again', async t => {
  const [folder, port] = [tempFolder(t), await freePort()]
  const server = await started(t, configOf(folder, port))
  const file = join(folder, 'secrets.hcl')
  writeFileSync(file, example)
  const env = {
    VAULT_ADDR: `http://127.0.0.1:${port}`,
    OPS_PASSWORD: PASSWORD,
    HOME: tempFolder(t),
  }
  const apply = async (words: string[], token = '') => {
    const all = ['operator', 'apply', `-config=${file}`, ...words]
    const run = launch(t, program, all, { env: { ...env, VAULT_TOKEN: token } })
    return { code: await run.ended, out: run.stdout(), error: run.stderr() }
  }
  t.match(await apply(['-plan']), { code: 2, out: /\+ initialise, with the seal static/ })
  t.match(await get(port, 'sys/init'), { initialized: false }, 'a plan changes nothing')
  t.match(await apply([]), { code: 1, error: /pass -auto-approve/ })
  const first = await apply(['-auto-approve'])
  t.equal(first.code, 0, first.error)
  const lines = first.out.split('\n').filter(line => line !== '')
  const onPage = page.slice(page.indexOf('  + initialise'), page.indexOf('Apply this?'))
  t.ok(first.out.startsWith(onPage), 'the page shows what is printed')
  t.equal(lines.at(-1), 'Applied entity_alias "ops"')

  const token = (await login(port)) ?? ''
  t.same(await others(port, token), [], 'no other token is left')
  t.match(await get(port, 'secret/data/web', token), { data: { data: { motto: 'hello' } } })
  const { data: group } = await get(port, 'identity/group/name/people', token)
  const { data: entity } = await get(port, 'identity/entity/name/ops', token)
  t.same(group.member_entity_ids, [entity.id])
  const again = await apply(['-auto-approve'], token)
  t.equal(again.code, 0, again.error)
  t.match(again.out, /^No changes\.$/m)
  t.notMatch(again.out, /Applied/)
  t.match(await apply(['-plan'], token), { code: 0 })
  writeFileSync(file, example.replace('what teams keep', 'what all keep'))
  t.match(await apply(['-plan'], token), {
    code: 2,
    out: /~ mount "secret": differs in description\nPlan: 1 to change|~ mount "secret"/,
  })
  t.equal((await apply(['-auto-approve'], token)).code, 0)
  t.match(await get(port, 'sys/mounts/secret', token), { data: { description: 'what all keep' } })
  for (const text of [first.out, again.out, server.stderr(), server.stdout()]) {
    t.notMatch(text, PASSWORD)
  }
  server.signal('SIGTERM')
  t.equal(await server.ended, 0)
})

t.test('initialize: no root token, again at each start, refused as a whole start', async t => {
  const [folder, port] = [tempFolder(t), await freePort()]
  const file = configOf(folder, port, `initialize "base" { ${example} }`)
  const server = await started(t, file)
  t.ok(server.isRunning(), server.stderr())
  t.notMatch(server.stdout(), /Token/)
  const token = (await login(port)) ?? ''
  t.same(await others(port, token), [])
  t.match(server.stderr(), 'initialize was applied')
  server.signal('SIGTERM')
  t.equal(await server.ended, 0)

  const second = await started(t, file)
  t.notMatch(second.stderr(), 'initialize was applied')
  t.match(await get(port, 'secret/data/web', token), { data: { data: { motto: 'hello' } } })
  t.same(await others(port, token), [])
  second.signal('SIGTERM')
  t.equal(await second.ended, 0)

  const other = tempFolder(t)
  const wrong = configOf(other, port, 'initialize "x" { mount "a" { type = "no-such" } }')
  const third = await started(t, wrong)
  t.equal(await third.ended, 1)
  t.match(third.stderr(), /initialize: mount "a": \d+ /)
})
