/**
 * The sink `nginx`: a file of `upstream` blocks, one for each service, which nginx's configuration
 * includes; checked by nginx and loaded by a reload.
 *
 * Owns the declaration. The text: render.ts; the file: target.run.ts.
 */
import { CheckedFile } from '../checked-file.run.ts'
import { defineSink } from '../declare.ts'
import { placeOf, renderNginx } from './render.ts'
import { nginxFields, nginxProblem } from './settings.ts'
import { NginxTarget } from './target.run.ts'

export const nginxSink = defineSink({
  kind: 'nginx',
  summary: 'a file of nginx’s upstream blocks, one for each service, loaded by a reload',
  isLocal: true,
  onEmpty: 'keep',
  fields: nginxFields,
  problemOf: nginxProblem,
  takes: (settings, one) => placeOf(settings, one) !== undefined,
  render: renderNginx,
  open: (settings, ports) => new NginxTarget(new CheckedFile(settings, ports)),
})
