/**
 * The sink `haproxy-runtime`: the servers of HAProxy's backends, changed while it runs.
 *
 * Owns the declaration. What is wanted: want.ts; the way there: plan.ts; the talk: target.run.ts.
 */
import { defineSink } from '../declare.ts'
import { ipOf, isPort } from '../place.ts'
import { runtimeFields, runtimeProblem } from './settings.ts'
import { RuntimeTarget } from './target.run.ts'
import { renderBackends } from './want.ts'

export const haproxyRuntimeSink = defineSink({
  kind: 'haproxy-runtime',
  summary: 'the servers of HAProxy’s backends, changed while it runs by its Runtime API',
  isLocal: false,
  onEmpty: 'keep',
  fields: runtimeFields,
  problemOf: runtimeProblem,
  takes: (_, one) => ipOf(one.address) !== undefined && isPort(one.port),
  render: renderBackends,
  open: (settings, ports) => new RuntimeTarget(settings, ports),
})
