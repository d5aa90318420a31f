/**
 * Class 34: whoever reaches the API runs programs by a check (Consul's security model names it).
 * Off unless the configuration says otherwise, for files alone where it says so, by every way in
 * which a check can come; and words are words, whatever they say.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { runScript } from '../../src/checks/script.run.ts'
import { once } from '../checks/support.ts'
import { type Daemon, startDaemon } from '../clients/daemon.ts'
import { tempFolder, until } from '../clients/process.ts'
import { freshFolder } from '../fake/folder.ts'
import { propertyRuns } from '../run/budget.ts'

/** Every way in which the API takes a check that names a program. */
const waysIn = (program: readonly string[]): readonly (readonly [path: string, body: object])[] => {
  const base = { Name: 'c', Interval: '1s' }
  const forms = [
    { ...base, Args: program },
    { ...base, ScriptArgs: program },
    { ...base, args: program },
    { ...base, script_args: program },
    { ...base, Script: program.join(' ') },
    { ...base, DockerContainerID: 'x', Shell: program[0], Args: program },
    { ...base, TTL: '1m', Args: program },
    { ...base, HTTP: 'http://127.0.0.1:1/', Args: program },
    { ...base, Definition: { ScriptArgs: program } },
  ]
  return forms.flatMap(form => [
    ['/v1/agent/check/register', form],
    ['/v1/agent/service/register', { Name: 's', Check: form }],
    ['/v1/agent/service/register', { Name: 's', Checks: [form] }],
    ['/v1/agent/service/register?replace-existing-checks', { Name: 's', Checks: [form, form] }],
    [
      '/v1/catalog/register',
      { Node: 'x', Address: '127.0.0.1', NodeMeta: EXTERNAL, Check: { ...form, Node: 'x' } },
    ],
    [
      '/v1/catalog/register',
      {
        Node: 'x',
        Address: '127.0.0.1',
        NodeMeta: EXTERNAL,
        Checks: [{ Name: 'c', Definition: form }],
      },
    ],
    [
      '/v1/txn',
      [{ Check: { Verb: 'set', Check: { Node: 'alpha', Name: 'c', Definition: form } } }],
    ],
  ])
}

const EXTERNAL = { 'external-node': 'true', 'external-probe': 'true' }

const touches = (trap: string): string[] => ['touch', trap]

/** A check that passes shows that the daemon has run what it runs. */
async function ran(daemon: Daemon): Promise<void> {
  await daemon.ask('PUT', '/v1/agent/check/register', {
    ...{ Name: 'alive', Interval: '1s', TCP: `127.0.0.1:${daemon.httpPort}` },
  })
  await until('another check ran', async () => {
    const checks = await daemon.read<Record<string, { Status: string }>>('/v1/agent/checks')
    return checks.alive?.Status === 'passing'
  })
}

t.test('attack: by every way in, with nothing said in the configuration', async t => {
  const trap = join(freshFolder(t), 'trap')
  const daemon = await startDaemon(t)
  const program = touches(trap)
  // What is of another kind besides is of that kind alone.
  for (const [path, body] of waysIn(program)) {
    const { status, text } = await daemon.ask('PUT', path, body)
    const isAgents = path.startsWith('/v1/agent/')
    if (isAgents && status === 200 && !/"(TTL|HTTP)"/.test(JSON.stringify(body))) {
      t.fail(`PUT ${path} ${JSON.stringify(body)}: ${text}`)
    }
  }
  await ran(daemon)
  t.notOk(existsSync(trap), 'no program ran')
})

/** A daemon whose file has a check that touches a file, started with these words. */
async function withFile(t: Test, words: string[]): Promise<{ trap: string; daemon: Daemon }> {
  const folder = tempFolder(t)
  const trap = join(folder, 'of-file')
  const file = join(folder, 'check.json')
  writeFileSync(
    file,
    JSON.stringify({ check: { name: 'of-file', args: touches(trap), interval: '1s' } }),
  )
  return { trap, daemon: await startDaemon(t, { words: [`-config-file=${file}`, ...words] }) }
}

t.test('near miss: files may where it says so, the API still may not', async t => {
  const { trap, daemon } = await withFile(t, ['-enable-local-script-checks'])
  const other = join(freshFolder(t), 'trap')
  await until('the program of the file ran', () => existsSync(trap))
  const { status, text } = await daemon.ask('PUT', '/v1/agent/check/register', {
    ...{ Name: 'c', Interval: '1s', Args: touches(other) },
  })
  t.equal(status, 400)
  t.match(text, /Scripts are disabled on this agent from remote calls/)
  await ran(daemon)
  t.notOk(existsSync(other))
})

t.test('near miss: with the switch for all, the API may too, and the start warns', async t => {
  const { daemon } = await withFile(t, ['-enable-script-checks'])
  const trap = join(freshFolder(t), 'trap')
  t.match(
    daemon.stderr(),
    /WARN.*enable_script_checks: whoever reaches the HTTP API can run programs/,
  )
  const body = { Name: 'c', Interval: '1s', Args: touches(trap) }
  t.equal((await daemon.ask('PUT', '/v1/agent/check/register', body)).status, 200)
  await until('it ran', () => existsSync(trap))
})

t.test('attack: by sinks that are declared over the API', async t => {
  const folder = tempFolder(t)
  const trap = join(folder, 'trap')
  const daemon = await startDaemon(t)
  await daemon.ask('PUT', '/v1/agent/service/register', { Name: 'web', Port: 80 })
  const program = touches(trap)
  const file = { path: trap, template: 'x', check: program, reload: program }
  const bodies: object[] = [
    { kind: 'exec', settings: { command: program } },
    { kind: 'file', settings: { path: trap, template: 'x' } },
    { kind: 'nginx', settings: file },
    { kind: 'haproxy-file', settings: file },
    { kind: 'nftables', settings: { table: 'x', sets: { web: 'x' }, command: program } },
    { kind: 'haproxy-runtime', settings: { socket: trap } },
    { kind: 'haproxy-runtime', settings: { address: '127.0.0.1:1', server_options: ['check'] } },
    { kind: 'webhook', settings: { url: 'http://127.0.0.1:1/', ca_file: trap, command: program } },
  ]
  for (const body of bodies) {
    for (const url of ['/v1/sinks/x', '/v1/sinks/x?plan']) {
      const { status, text } = await daemon.ask('PUT', url, { services: ['web'], ...body })
      t.equal(status, 400, text)
      t.match(text, /only the configuration|unknown setting/)
    }
  }
  t.strictSame(await daemon.read('/v1/sinks'), [])
  t.notOk(existsSync(trap))
})

t.test('generated: words that a shell would read are words', async t => {
  const folder = freshFolder(t)
  mkdirSync(join(folder, 'in'))
  const trap = join(folder, 'trap')
  const word = fc.oneof(
    fc.constantFrom(
      `$(touch ${trap})`,
      `;touch ${trap}`,
      `|touch ${trap}`,
      `&& touch ${trap}`,
      `\`touch ${trap}\``,
    ),
    fc.constantFrom(
      '*',
      '~',
      '$HOME',
      '$'.concat('{IFS}'),
      '>x',
      '<x',
      '\\',
      '"',
      "'",
      '--',
      '&',
      '#',
      '!!',
      '%s',
      '{a,b}',
    ),
    fc.stringMatching(/^[ -~]{1,12}$/),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(word, { minLength: 1, maxLength: 5 }), async words => {
      const { output } = await once(runScript, { scriptArgs: ['printf', '%s\\n', '', ...words] })
      return output === `\n${words.join('\n')}\n` && !existsSync(trap)
    }),
    { numRuns: Math.ceil(propertyRuns() / 4) },
  )
  t.notOk(existsSync(trap))
})
