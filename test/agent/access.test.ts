/** Access control of an agent: its own tokens, the recovery token, files of the data folder. */
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openAccess } from '../../src/agent/access.ts'
import { openStore } from '../../src/agent/compose.ts'
import { resolveConfig, type SettledConfig } from '../../src/agent/config.ts'
import { realWorld } from '../../src/agent/parts.ts'
import { Refusal } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { access, everybody } from '../../src/base/who.ts'
import { ageless } from '../../src/store/freshness.ts'

function configOf(text: string, dataDir: string): SettledConfig {
  const result = resolveConfig(
    {
      texts: [
        {
          name: 'test',
          text: `data_dir = "${dataDir}"\nstore { engine = "memory" }\n${text}`,
          format: 'hcl',
        },
      ],
      flags: [],
      isDev: false,
    },
    { hostName: 'host', interfaces: [], workingDir: '/' },
  )
  if ('problems' in result) throw new Error(result.problems.join('\n'))
  return { ...result.config, nodeId: '0f3c7a52-1111-4222-8333-444455556666' }
}

async function open(t: Test, text: string, folder = t.testdir()) {
  const world = realWorld(silentLog)
  const config = configOf(text, folder)
  const store = await openStore(config, world)
  t.teardown(() => store.close())
  const ports = { recordOf: () => undefined, age: ageless, refuseIssuing: () => undefined }
  return { folder, store, opened: await openAccess(config, store, world, ports) }
}
t.test('off: everybody may do everything, and the key is there all the same', async t => {
  const { folder, opened } = await open(t, '')
  t.equal(opened.acl, undefined)
  t.equal(opened.authority.authenticate('anything'), everybody)
  t.equal((await stat(join(folder, 'registry.key'))).mode & 0o777, 0o600)
})

const ON = `acl {
  enabled = true
  default_policy = "deny"
  enable_token_persistence = true
  tokens { default = "none such" agent_recovery = "recover" }
}`

t.test('the recovery token works here whatever became of the others', async t => {
  const { opened } = await open(t, ON)
  const who = opened.authority.authenticate('recover')
  if (who instanceof Refusal) throw new Error(who.text)
  t.ok(who.may(access('write', 'agent', 'host')))
  t.ok(who.may(access('write', 'node', 'x')))
  t.notOk(who.may(access('write', 'agent', 'other')))
  t.notOk(who.may(access('read', 'acl')))
  t.match(
    opened.authority.authenticate(''),
    { text: 'ACL not found' },
    'the default one is nobody’s',
  )
})

t.test('the reset index of a file bootstraps once more', async t => {
  const { folder, opened } = await open(t, ON)
  const { room } = opened.acl!
  await room.initialise('')
  await room.bootstrap('')
  const again = (await room.bootstrap('')) as Refusal
  const path = join(folder, 'acl-bootstrap-reset')
  await writeFile(path, 'no number\n')
  t.type(await room.bootstrap(''), Refusal)
  await writeFile(path, `${/reset index: (\d+)/.exec(again.text)![1]}\n`)
  t.notOk((await room.bootstrap('')) instanceof Refusal)
  await t.rejects(stat(path), { code: 'ENOENT' }, 'the file was used')
})

t.test('tokens that the API set are kept, and stand before those of the configuration', async t => {
  const { folder, opened } = await open(t, ON)
  t.equal(opened.tokens.of('default'), 'none such')
  await opened.tokens.set('default', 'other')
  t.equal(opened.tokens.of('default'), 'other')
  const path = join(folder, 'acl-tokens.json')
  t.equal((await stat(path)).mode & 0o777, 0o600)
  t.match(await readFile(path, 'utf8'), /^\{"default":"sealed:[\w+/=]+"\}$/)
  const again = await open(t, ON, folder)
  t.equal(again.opened.tokens.of('default'), 'other')
  t.equal(again.opened.tokens.of('agent_recovery'), 'recover')
  await writeFile(path, '{"agent":"as Consul keeps it","dns":""}')
  const { tokens } = (await open(t, ON, folder)).opened
  t.strictSame([tokens.of('agent'), tokens.of('dns')], ['as Consul keeps it', ''])
  t.match(await readFile(path, 'utf8'), /^\{"agent":"sealed:[\w+/=]+","dns":""\}$/)
  await Promise.all([tokens.set('default', 'one'), tokens.set('replication', 'two')])
  const both = (await open(t, ON, folder)).opened.tokens
  t.strictSame([both.of('default'), both.of('replication')], ['one', 'two'], 'none is lost')
  await writeFile(path, '{"default":"sealed:bm90IHNlYWxlZCBieSB0aGlzIGtleSBhdCBhbGw="}')
  await t.rejects(open(t, ON, folder), /was sealed with another registry key: remove it/)
  for (const text of ['{', '[]', '{"nosuch":"x"}', '{"default":1}']) {
    await writeFile(path, text)
    await t.rejects(open(t, ON, folder), /does not hold the tokens of an agent/)
  }
})
