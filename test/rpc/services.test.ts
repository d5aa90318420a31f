/** The list of methods against the proto files. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { rpcMethods } from '../../src/rpc/services.ts'

const folder = path.join(import.meta.dirname, '../../proto')

/** Each method of a proto file: its path, and whether it is a stream both ways. */
function methodsOf(file: string): string[] {
  const text = readFileSync(path.join(folder, file), 'utf8')
  const services = text.matchAll(/^service (\w+) \{\n([\s\S]*?)^\}/gm)
  return [...services].flatMap(([, service, body = '']) =>
    [...body.matchAll(/rpc (\w+)\((stream )?\w+\) returns \((stream )?\w+\)/g)].map(
      ([, name, asks, answers]) =>
        `${file} gatehouse.agent.v1.${service}/${name} ${asks && answers ? 'stream' : 'unary'}`,
    ),
  )
}

t.test('every method of the proto files is declared once, and none besides', async t => {
  const files = readdirSync(path.join(folder, 'gatehouse/agent/v1'))
  const written = files.flatMap(file => methodsOf(`gatehouse/agent/v1/${file}`))
  const declared = rpcMethods.map(({ protoFile, path, form }) => `${protoFile} ${path} ${form}`)
  t.ok(declared.length > 0)
  t.same(declared.sort(), written.sort())
})

t.test('who has no certificate may do nothing but join', async t => {
  const open = rpcMethods.filter(({ callers }) => callers === 'anybody').map(({ path }) => path)
  const names = open.map(path => path.replace('gatehouse.agent.v1.Join/', ''))
  t.same(names, ['Enter', 'Renew', 'Meet', 'Agree'])
})
