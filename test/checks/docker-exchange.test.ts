import fc from 'fast-check'
import t from 'tap'
import { DockerFrames, dockerFault, dockerHost } from '../../src/checks/docker-exchange.ts'

t.test('where the engine is', async t => {
  t.same(dockerHost(''), { socketPath: '/var/run/docker.sock' })
  t.same(dockerHost('unix:///run/user/1000/docker.sock'), {
    socketPath: '/run/user/1000/docker.sock',
  })
  t.same(dockerHost('tcp://127.0.0.1:2375'), { host: '127.0.0.1', port: 2375, basePath: '' })
  t.same(dockerHost('tcp://[::1]/docker/'), { host: '::1', port: 2375, basePath: '/docker' })
  for (const odd of ['ssh://host', 'npipe:////./pipe/docker', 'nonsense', 'tcp://']) {
    t.equal(dockerHost(odd), undefined, odd)
  }
})

t.test('refusals of the engine', async t => {
  t.equal(dockerFault('create', 'c', 404, ''), 'create exec failed for unknown container c')
  t.match(dockerFault('start', 'c', 409, ''), /container c is paused or stopped$/)
  t.match(dockerFault('inspect', 'c', 500, 'why'), /container c with status 500: why$/)
})

t.test('frames are taken apart wherever they were cut', async t => {
  const texts = fc.array(fc.string({ maxLength: 20 }), { maxLength: 8 })
  const isSame = (parts: string[], cut: number): boolean => {
    const bytes = Buffer.concat(
      parts.map(part => {
        const header = Buffer.alloc(8)
        header[0] = 1
        header.writeUInt32BE(Buffer.byteLength(part), 4)
        return Buffer.concat([header, Buffer.from(part)])
      }),
    )
    const frames = new DockerFrames()
    const got: Buffer[] = []
    for (let at = 0; at < bytes.length; at += cut) {
      frames.push(bytes.subarray(at, at + cut), part => got.push(part))
    }
    return Buffer.concat(got).toString() === parts.join('')
  }
  fc.assert(fc.property(texts, fc.integer({ min: 1, max: 40 }), isSame))
  t.pass()
})
