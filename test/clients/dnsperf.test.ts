/** A flood of honest questions by dnsperf: every one is answered, whatever the machine's pace. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { absent, clientFile } from '../run/clients.ts'
import { startDaemon } from './daemon.ts'
import { outputOf, tempFolder } from './process.ts'

const QUESTIONS = [
  'web.service.consul A',
  'web.service.consul SRV',
  'web.service.consul AAAA',
  'here.node.consul A',
  'nobody.service.consul A',
  'consul NS',
  '1.0.0.127.in-addr.arpa PTR',
]
/** How often each is asked: a count, not a time, so that a slow machine takes longer. */
const ROUNDS = 2_000

t.test('dnsperf loses nothing', { skip: absent('dnsperf') }, async t => {
  const daemon = await startDaemon(t, { words: ['-node=here'] })
  const Service = { Service: 'web', Port: 80 }
  await daemon.ask('PUT', '/v1/catalog/register', { Node: 'n', Address: '10.0.0.1', Service })
  const file = path.join(tempFolder(t), 'questions')
  writeFileSync(file, `${QUESTIONS.join('\n')}\n`)
  for (const mode of ['udp', 'tcp']) {
    const port = `${daemon.dnsPort}`
    const where = ['-s', '127.0.0.1', '-p', port, '-m', mode, '-d', file, '-n', `${ROUNDS}`]
    const printed = await outputOf(t, clientFile('dnsperf'), [
      ...where,
      '-c',
      '4',
      '-q',
      '50',
      '-t',
      '30',
    ])
    const count = (what: string): number =>
      Number(new RegExp(`${what}:\\s+(\\d+)`).exec(printed)?.[1] ?? Number.NaN)
    const asked = QUESTIONS.length * ROUNDS
    t.equal(count('Queries sent'), asked, mode)
    t.equal(count('Queries completed'), asked, `${mode}: each was answered`)
    t.equal(count('Queries lost'), 0, `${mode}: none was lost`)
    const codes = /Response codes:\s+(.*)/.exec(printed)?.[1] ?? ''
    t.match(codes, new RegExp(`NOERROR ${6 * ROUNDS} .*NXDOMAIN ${ROUNDS} `), mode)
  }
})
