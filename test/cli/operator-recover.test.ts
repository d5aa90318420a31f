/** The verb `operator recover`, on the disk of a member that was there. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { absent } from '../run/clients.ts'
import { openServers } from '../store/etcd/member/servers.ts'
import { call } from './support.ts'

t.test(
  'recover: says what a disk holds, and does it when told',
  { skip: absent('etcd') },
  async t => {
    const [server] = await openServers(t, 1)
    const { dataDir, name, address } = server!
    const line = `operator recover -data-dir=${dataDir}`
    t.match(await call(line, {}), { code: 1, error: /^Error recovering: .*not that of a server/ })
    const member = await server!.start()
    await member.remember([address])
    writeFileSync(join(dataDir, 'node-id'), `${name}\n`)
    t.match(await call(line, {}), { code: 1, error: /stop gatehouse on this machine first/ })
    await server!.stop()
    const tried = await call(line, {})
    t.match(tried, { code: 0, out: /The newest revision is \d+, on .*etcd\.\nNothing was changed/ })
    t.match(tried.out, /^Disk +Revision +Term +Entry +Size\n/)
    const done = await call(`${line} -yes`, {})
    t.match(done, { code: 0, out: /It is the data of this server now, alone in its cluster/ })
    await server!.start()
    t.equal(await server!.ready(), '')
  },
)
