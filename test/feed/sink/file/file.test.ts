/** The sink file: templates and JSON, templates from files, and services that are held. */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { Refusal } from '../../../../src/base/errors.ts'
import { fileSink } from '../../../../src/feed/sink/file/file.ts'
import { readSettings } from '../../../../src/feed/sink/schema.ts'
import { tempFolder } from '../../../clients/process.ts'
import { stateOf } from '../health.ts'
import { Driver, realPorts, settingsOf, wantedOf } from '../world.ts'

const template = '{{#Services[web].Instances}}\n{{Host}}:{{Port}}\n{{/Services[web].Instances}}'
const a = { id: 'a', address: '10.0.0.1' }

t.test('a list of instances follows', async t => {
  const file = path.join(tempFolder(t), 'list')
  const driver = new Driver(fileSink, { path: file, template }, realPorts(t))
  await driver.apply(stateOf({ web: [a] }))
  t.equal(readFileSync(file, 'utf8'), '10.0.0.1:80\n')
  await driver.apply(stateOf({ web: [] }))
  t.equal(readFileSync(file, 'utf8'), '', 'a file says that there is none')
})

t.test('or stays as it was for a service that has none left', async t => {
  const file = path.join(tempFolder(t), 'list')
  const given = { path: file, template, on_empty: 'keep' }
  const driver = new Driver(fileSink, given, realPorts(t))
  await driver.apply(stateOf({ web: [] }))
  t.equal(readFileSync(file, 'utf8'), '', 'where there is no file, there is nothing to keep')
  await driver.apply(stateOf({ web: [a] }))
  await driver.apply(stateOf({ web: [] }))
  t.equal(readFileSync(file, 'utf8'), '10.0.0.1:80\n')
  // After a start, nothing is known from before.
  const next = new Driver(fileSink, given, realPorts(t))
  t.match(await next.apply(stateOf({ web: [] })), {
    changes: [],
    problems: [/kept as it is.*"web"/],
  })
  t.match(await next.plan(stateOf({ web: [] })), { changes: [], problems: [/kept as it is/] })
  t.equal(readFileSync(file, 'utf8'), '10.0.0.1:80\n')
})

t.test('JSON', async t => {
  const file = path.join(tempFolder(t), 'state.json')
  const driver = new Driver(fileSink, { path: file, form: 'json' }, realPorts(t))
  await driver.apply(stateOf({ web: [a] }, { 'k/': { 'k/a': 'b' } }))
  t.match(JSON.parse(readFileSync(file, 'utf8')), {
    Services: [{ Name: 'web', Instances: [{ ID: 'a', Port: 80 }] }],
    KV: [{ Prefix: 'k/', Entries: [{ Name: 'a', Value: 'b' }] }],
  })
  t.same((await driver.apply(stateOf({ web: [a] }, { 'k/': { 'k/a': 'b' } }, 99))).changes, [])
})

t.test('a template from a file is read once, and its faults are told then', async t => {
  const folder = tempFolder(t)
  const from = path.join(folder, 'a.tpl')
  const values = settingsOf(fileSink, { path: path.join(folder, 'a'), template_file: from })
  const prepare = (text: string) => {
    writeFileSync(from, text)
    return fileSink.prepare?.(values, async file => readFileSync(file, 'utf8'))
  }
  const prepared = await prepare(template)
  if (prepared === undefined || prepared instanceof Refusal) return t.fail('it was not prepared')
  t.match(wantedOf(fileSink, prepared, stateOf({ web: [a] })), { what: { text: '10.0.0.1:80\n' } })
  t.match(await prepare('{{#a}}'), { text: /line 1/ })
  const failing = fileSink.prepare?.(values, async () => {
    throw new Error('no such file')
  })
  t.match(await failing, { text: 'template_file: no such file' })
})

t.test('settings that contradict each other', async t => {
  const file = '/tmp/x'
  t.throws(() => settingsOf(fileSink, { path: file }), /template: is missing/)
  t.throws(() => settingsOf(fileSink, { path: file, form: 'json', template: '' }), /has none/)
  t.throws(() => settingsOf(fileSink, { path: 'x', template: '' }), /absolute/)
  const fromApi = readSettings(fileSink.fields, { path: file, template: '' }, 'api')
  t.match(fromApi, { problems: [{ field: 'path' }, { field: 'template' }] })
})
