/**
 * The gRPC server: health, reflection, what is not there, and its stop.
 */
import t from 'tap'
import { until } from '../http/harness.ts'
import { everyMethod, serviceOf } from './every-method.ts'
import { startGrpc } from './harness.ts'

const CHECK = { protoFile: 'grpc/health.proto', path: 'grpc.health.v1.Health/Check' } as const
const WATCH = { protoFile: 'grpc/health.proto', path: 'grpc.health.v1.Health/Watch' } as const

t.test('health tells of the server and of each service', async t => {
  const { client } = await startGrpc(t)
  const whole = await client.call(CHECK)
  t.same([whole.code, whole.answers[0].status], ['OK', 'SERVING'])
  const own = await client.call(CHECK, { service: 'grpc.health.v1.Health' })
  t.equal(own.answers[0].status, 'SERVING')
  const other = await client.call(CHECK, { service: 'no.Such' })
  t.equal(other.code, 'NOT_FOUND')
  t.match(other.metadata.get('x-request-id'), [/-g[0-9a-z]+$/])
})

t.test('who watches health hears of changes, and of the stop', async t => {
  const changed = new Set<() => void>()
  let serves = false
  const { client, face } = await startGrpc(t, {
    health: {
      isServing: () => serves,
      onChange(call) {
        changed.add(call)
        return () => changed.delete(call)
      },
    },
  })
  const watch = await client.open(WATCH)
  watch.call.end({ service: 'grpc.health.v1.Health' })
  await until(() => watch.answers.length === 1)
  serves = true
  for (const call of changed) call()
  await until(() => watch.answers.length === 2)
  for (const call of changed) call()
  const closed = face.close()
  const { code, answers } = await watch.ended
  t.equal(code, 'UNAVAILABLE')
  t.strictSame(
    answers.map(({ status }) => status),
    ['NOT_SERVING', 'SERVING', 'NOT_SERVING'],
  )
  await closed
  t.equal(changed.size, 0)
})

t.test('who watches a service that is not there is told so, and waits', async t => {
  const { client } = await startGrpc(t)
  const watch = await client.open(WATCH)
  watch.call.end({ service: 'no.Such' })
  await until(() => watch.answers.length === 1)
  t.equal(watch.answers[0].status, 'SERVICE_UNKNOWN')
  watch.call.cancel()
})

for (const version of ['v1', 'v1alpha']) {
  const REFLECTION = {
    protoFile: `grpc/reflection/${version}/reflection.proto`,
    path: `grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
  } as const
  t.test(`reflection ${version} tells of all services and their contracts`, async t => {
    const { client, face } = await startGrpc(t)
    const stream = await client.open(REFLECTION)
    stream.send({ listServices: '*' })
    stream.send({ fileContainingSymbol: 'grpc.health.v1.Health.Check' })
    stream.send({ fileByFilename: 'grpc_health_v1.proto' })
    stream.send({ fileContainingSymbol: 'no.Such' })
    stream.send({ allExtensionNumbersOfType: 'grpc.health.v1.HealthCheckRequest' })
    stream.call.end({})
    const { answers, code } = await stream.ended
    t.equal(code, 'OK')
    const [list, file, same, none, extensions, nothing] = answers
    t.strictSame(
      list.listServicesResponse.service.map(({ name }: { name: string }) => name),
      [...new Set(face.methods.map(serviceOf))].sort(),
    )
    t.ok(file.fileDescriptorResponse.fileDescriptorProto[0].includes('HealthCheckRequest'))
    t.strictSame(same.fileDescriptorResponse, file.fileDescriptorResponse)
    t.equal(none.errorResponse.errorCode, 5)
    t.equal(extensions.allExtensionNumbersResponse.extensionNumber.length, 0)
    t.equal(nothing.errorResponse.errorCode, 3)
  })
}

t.test('what is not there is said with an id', async t => {
  const { client } = await startGrpc(t)
  const { code, text, metadata } = await client.raw('/no.Such/Thing', Buffer.alloc(3))
  t.same([code, text], ['UNIMPLEMENTED', 'there is no method no.Such/Thing'])
  t.equal(metadata.get('x-request-id').length, 1)
})

t.test('every method stands in its contract with its form', async t => {
  for (const method of everyMethod()) t.match(method.path, /^[a-z][\w.]*\.[A-Z]\w*\/[A-Z]\w*$/)
  // The server refuses to open with a method that no contract defines.
  await t.resolves(startGrpc(t, { methods: [] }))
})
