/**
 * Finding who holds a port: on this very process, and on a made-up /proc where rights are missing.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { describePortHolder, findPortHolder } from '../../../src/base/io/port-holder.ts'

t.test('finds this process by a TCP port', async t => {
  for (const host of ['127.0.0.1', '::1']) {
    const server = createServer().listen(0, host)
    await once(server, 'listening')
    t.teardown(() => server.close())
    const holder = await findPortHolder('tcp', (server.address() as AddressInfo).port)
    t.equal(holder?.pid, process.pid)
    t.equal(holder?.userId, process.getuid?.())
    t.match(describePortHolder(holder), `held by process ${process.pid} (`)
    t.match(holder?.command, /node .*port-holder\.test\.ts$/)
  }
})

t.test('finds this process by a UDP port, and not by the TCP port of that number', async t => {
  const socket = createSocket('udp4')
  t.teardown(() => socket.close())
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.equal((await findPortHolder('udp', socket.address().port))?.pid, process.pid)
  t.equal(await findPortHolder('tcp', socket.address().port), undefined)
})

t.test('a made-up /proc', async t => {
  const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n'
  const row = (port: number, state: string, user: number, inode: number) =>
    `   0: 0100007F:${port.toString(16).toUpperCase()} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  ${user}        0 ${inode} 1\n`
  const proc = t.testdir({
    net: { tcp: head + row(8500, '01', 1, 7) + row(8500, '0A', 42, 8) + row(8501, '0A', 43, 9) },
    '99': { fd: {}, cmdline: 'nginx: master process /usr/sbin/nginx -g secret\0' },
    '100': { fd: {}, cmdline: '/usr/bin/node\0--no-warnings\0server.js\0-token=secret\0' },
    '101': { cmdline: 'hidden' },
  })
  await mkdir(`${proc}/self/fd`, { recursive: true })
  await symlink('socket:[8]', `${proc}/100/fd/3`)
  await writeFile(`${proc}/99/fd/0`, '')

  const holder = await findPortHolder('tcp', 8500, proc)
  t.same(holder, { userId: 42, pid: 100, command: '/usr/bin/node server.js' })
  t.same(await findPortHolder('tcp', 8501, proc), { userId: 43 })
  t.match(describePortHolder({ userId: 43 }), 'a process of user 43')
  t.equal(await findPortHolder('udp', 8500, proc), undefined)
  t.match(describePortHolder(undefined), 'does not show')
})
