// What services were like during the last minutes, as far as this page has seen it.

export const span = 5 * 60_000;
// More services than this are followed only while they are looked at.
const mostServices = 200;
const histories = new Map();

export const history = (id) => histories.get(id) ?? [];

// Whether so many services are followed all the time.
export const isFollowed = ({ services }) => services <= mostServices;

export const sampleAll = (services) => services.forEach(sample);

export function sample({ id, load, instancesUp, constraints }) {
  const at = Date.now();
  const points = histories.get(id) ?? [];
  histories.set(id, points);
  const before = points[points.length - 1];
  if (before && at - before.at < 400) return;
  const point = { at, inFlight: load?.requestsInFlight ?? 0, queued: load?.requestsQueued ?? 0,
    waiting: load?.consumersWaiting ?? 0, consumers: load?.activeConsumers ?? 0,
      completed: Number(load?.completed ?? 0),
    up: instancesUp, limit: constraints.maximumInstances };
  if (before && point.completed >= before.completed && at - before.at < 20_000) {
    point.rate = (point.completed - before.completed) / ((at - before.at) / 1_000);
  }
  points.push(point);
  while (points.length > 0 && points[0].at < at - span) points.shift();
}
