/**
 * The bare limit of gRPC: a server of the library alone that gives one fixed answer to every call.
 *
 *     bare-grpc.ts <port> <path> <answer in base64>
 */
import * as grpc from '@grpc/grpc-js'

const [port = '0', path = '', answer = ''] = process.argv.slice(2)
const bytes = Buffer.from(answer, 'base64')
const same = (given: Buffer): Buffer => given

const server = new grpc.Server({ 'grpc.enable_channelz': 0 })
server.register(
  path,
  ((_call: unknown, respond: grpc.sendUnaryData<Buffer>) => respond(null, bytes)) as never,
  same,
  same,
  'unary',
)
await new Promise<void>((resolve, reject) => {
  const credentials = grpc.ServerCredentials.createInsecure()
  server.bindAsync(`127.0.0.1:${port}`, credentials, error =>
    error === null ? resolve() : reject(error),
  )
})
process.stdout.write('Ready.\n')
