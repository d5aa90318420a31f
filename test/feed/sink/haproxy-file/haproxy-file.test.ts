/** HAProxy by a file: checked by itself, loaded by its master, put back when it is wrong. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { haproxyFileSink } from '../../../../src/feed/sink/haproxy-file/haproxy-file.ts'
import { freePort, launch, tempFolder, until } from '../../../clients/process.ts'
import { absent, clientFile } from '../../../run/clients.ts'
import { answersOf, askOnce, startBackend } from '../backends.ts'
import { stateOf } from '../health.ts'
import { Driver, realPorts, settingsOf, wantedOf } from '../world.ts'

const templateFor = (port: number) => `
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
frontend all
  bind 127.0.0.1:${port}
  default_backend web
backend web
{{#Services[web].Instances}}
  server {{ID}} {{Host}}:{{Port}} weight {{Weight}} {{KV[lb/].Entries[options]}}
{{/Services[web].Instances}}
`

t.test('HAProxy follows', { skip: absent('haproxy') }, async t => {
  const haproxy = clientFile('haproxy')
  const port = await freePort()
  const file = path.join(tempFolder(t), 'haproxy.cfg')
  const given = {
    path: file,
    template: templateFor(port),
    check: [haproxy, '-c', '-f', '{file}'],
  }
  const ports = realPorts(t)
  const [a, b] = [await startBackend(t, 'a'), await startBackend(t, 'b')]
  await new Driver(haproxyFileSink, { ...given, reload: ['/bin/true'] }, ports).apply(
    stateOf({ web: [a] }),
  )
  const master = launch(t, haproxy, ['-W', '-f', file], { group: true })
  const follows = (wanted: string) =>
    until(
      `it reaches ${wanted}`,
      async () => {
        if (!master.isRunning()) throw new Error(master.stderr())
        return (await answersOf(port)) === wanted
      },
      10_000,
    )
  await follows('a')

  const reload = ['/bin/kill', '-USR2', `${master.pid}`]
  const driver = new Driver(haproxyFileSink, { ...given, reload }, ports)
  await driver.apply(stateOf({ web: [a, b] }))
  await follows('a b')
  // The old process finishes what is under way.
  const slow = askOnce(port, '/wait')
  const on = await until('it is under way', () => [a, b].find(one => one.waiting() > 0))
  const other = on === a ? b : a
  await driver.apply(stateOf({ web: [other] }))
  await follows(other.id)
  on.letGo()
  t.equal(await slow, on.id)

  const good = readFileSync(file, 'utf8')
  const options = { 'lb/': { 'lb/options': 'no-such-option' } }
  t.match(await driver.try(stateOf({ web: [a] }, options)), {
    target: 'as it was',
    text: /unknown keyword 'no-such-option'/,
  })
  t.equal(readFileSync(file, 'utf8'), good)
  // A name that HAProxy could not take is left out, and the others go on.
  const hostile = [{ ...b, id: 'x\n  server y' }, a]
  const applied = await driver.apply(stateOf({ web: hostile }))
  t.match(applied.changes.join('\n'), /server a/)
  t.match(driver.wanted(stateOf({ web: hostile })).problems, [/"x\\n {2}server y"/])
  await follows('a')
})

t.test('settings, and a template that is wrong', async t => {
  const usual = { path: '/x', reload: ['/bin/true'] }
  t.throws(() => settingsOf(haproxyFileSink, usual), /template: is missing/)
  t.throws(() => settingsOf(haproxyFileSink, { path: '/x', template: '' }), /"reload"/)
  const values = settingsOf(haproxyFileSink, { ...usual, template: 'x\n{{Nothing}}' })
  t.throws(() => wantedOf(haproxyFileSink, values, stateOf({})), /line 2/)
})
