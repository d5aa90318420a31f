/** What is kept of rows that every request stands on is given up as soon as one of them changes. */
import tap from 'tap'
import { wallMs } from '../../src/base/brand.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { groundIn, OfGround } from '../../src/secrets/ground.ts'
import { Draft } from '../../src/secrets/storage.ts'
import { kindOfArea, secretData } from '../../src/store/tables/secret.ts'
import { newKeyring, openSecrets } from './harness.ts'

tap.test('it stands as long as rows of its kind and the barrier are the same', async t => {
  const test = await openSecrets(t)
  const draftOn = (barrier = test.barrier!): Draft =>
    new Draft(test.store.view(), barrier, wallMs(0), systemRandom)
  let made = 0
  const counted = new OfGround(() => ++made)
  t.equal(counted.known(draftOn()), 1)
  t.equal(counted.known(draftOn()), 1)
  await test.write(draft => draft.area('root', 'tokens').put('x', {}))
  t.equal(counted.known(draftOn()), 1, 'rows of no kind')
  await test.write(draft => draft.area('root', 'policies').put('x', {}))
  t.equal(counted.known(draftOn()), 2)
  await test.write(draft => draft.area('root', 'policies').delete('x'))
  t.equal(counted.known(draftOn()), 3)
  t.equal(counted.known(draftOn(newKeyring())), 4, 'nothing outlives the barrier that opened it')
  t.equal(counted.known(draftOn()), 3)
})

tap.test('a transaction that changes such rows, or notes what is read, looks at all', async t => {
  const test = await openSecrets(t)
  const view = test.store.view()
  const draft = new Draft(view, test.barrier!, wallMs(0), systemRandom)
  t.ok(draft.ground('ground'))
  t.ok(draft.ground('identity'))
  draft.area('root', 'mounts').put('x', {})
  t.equal(draft.ground('ground'), undefined)
  t.ok(draft.ground('identity'), 'near miss: other rows')
  const gone = new Draft(view, test.barrier!, wallMs(0), systemRandom)
  gone.whole('root').delete('entities/x')
  t.equal(gone.ground('identity'), undefined)
  await test.write(inside => t.equal(inside.ground('ground'), undefined, 'it is recorded'))
})

tap.test('two barriers and two eras have grounds of their own', async t => {
  const [one, other] = [newKeyring(), newKeyring()]
  const [era, next] = [{}, {}]
  t.equal(groundIn(one, era), groundIn(one, era))
  t.not(groundIn(one, era), groundIn(one, next))
  t.not(groundIn(one, era), groundIn(other, era))
})

tap.test('every area that a kept answer follows from is of a kind', async t => {
  for (const area of ['namespaces', 'namespace-ids', 'mounts', 'policies', 'conditions']) {
    t.equal(kindOfArea(area), 'ground', area)
  }
  for (const area of ['quotas', 'settings']) t.equal(kindOfArea(area), 'ground', area)
  for (const area of ['entities', 'aliases', 'groups']) t.equal(kindOfArea(area), 'identity', area)
  for (const area of ['tokens', 'mount.x', 'entity-names', '']) t.equal(kindOfArea(area), undefined)
  t.equal(secretData.eras?.kindOf('root/mounts/secret/a/'), 'ground')
  t.equal(secretData.eras?.kindOf('abcdef/groups/x'), 'identity')
  t.equal(secretData.eras?.kindOf('root/mount.x/mounts/y'), undefined)
})
