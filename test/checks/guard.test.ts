import t from 'tap'
import { targetGuard } from '../../src/checks/guard.ts'

const judge = (allow: string[], addresses: string[]): boolean[] => addresses.map(targetGuard(allow))

const METADATA = [
  '169.254.169.254',
  '169.254.170.2',
  '::ffff:169.254.169.254',
  '::ffff:a9fe:a9fe',
  '0:0:0:0:0:ffff:a9fe:a9fe',
  '::a9fe:a9fe',
  '64:ff9b::a9fe:a9fe',
  '2002:a9fe:a9fe::1',
  'fe80::1',
  'fe80::1%eth0',
  'fd00:ec2::254',
  'fd00:0ec2:0::0254',
  '100.100.100.200',
  '192.0.0.192',
  '224.0.0.1',
  'ff02::1',
  '255.255.255.255',
]
const ORDINARY = [
  '127.0.0.1',
  '::1',
  '0.0.0.0',
  '10.1.2.3',
  '192.168.1.1',
  '172.17.0.2',
  '100.100.100.201',
  '8.8.8.8',
  'fd00::1',
  '2001:db8::1',
]

t.test('without a list: everything but what is guarded', async t => {
  t.same(
    judge([], ORDINARY),
    ORDINARY.map(() => true),
  )
  t.same(
    judge([], METADATA),
    METADATA.map(() => false),
  )
})

t.test('a list is all that is allowed', async t => {
  const allow = ['10.0.0.0/8', '::1', '192.168.1.1']
  t.same(judge(allow, ['10.255.0.1', '11.0.0.1', '::1', '::2', '192.168.1.1', '192.168.1.2']), [
    true,
    false,
    true,
    false,
    true,
    false,
  ])
  t.same(judge(allow, ['::ffff:10.0.0.1', '127.0.0.1']), [true, false])
})

t.test('what is guarded must be named, by a range that is no wider than its guard', async t => {
  t.same(judge(['0.0.0.0/0', '169.0.0.0/8'], ['169.254.169.254', '8.8.8.8']), [false, true])
  t.same(judge(['169.254.0.0/16'], ['169.254.1.1', '169.254.169.254', '8.8.8.8']), [
    true,
    true,
    false,
  ])
  t.same(judge(['169.254.1.1'], ['169.254.1.1', '169.254.169.254']), [true, false])
  t.same(judge(['0.0.0.0/0', '::/0', 'fe80::/10'], ['fe80::2%eth0', '169.254.1.1']), [true, false])
})
