/* The arithmetic of the charts, without a page: each says which definition it follows. */
(() => {
  "use strict";
  const finite = Number.isFinite;

  /* Exponential moving average with its start corrected, as TensorBoard's: s(t) = w s(t-1) + (1-w) x(t), over 1 - w^t.
     What is no number stays a gap and is not counted. */
  function smooth(values, weight) {
    let last = 0;
    let power = 1;
    return values.map((value) => {
      if (!finite(value)) return value;
      last = last * weight + (1 - weight) * value;
      power *= weight;
      return last / (1 - power);
    });
  }

  /* A quantile by linear interpolation between ordered values (type 7 of Hyndman and Fan, as NumPy's default). */
  function quantile(ordered, share) {
    const place = (ordered.length - 1) * share;
    const below = Math.floor(place);
    const above = Math.min(below + 1, ordered.length - 1);
    return ordered[below] + (place - below) * (ordered[above] - ordered[below]);
  }

  /* A box after Tukey: whiskers reach to the furthest value within 1.5 times the quartiles' distance. */
  function box(values) {
    const ordered = values.filter(finite).sort((a, b) => a - b);
    if (!ordered.length) return null;
    const [q1, median, q3] = [0.25, 0.5, 0.75].map((share) => quantile(ordered, share));
    const reach = 1.5 * (q3 - q1);
    const inside = ordered.filter((value) => value >= q1 - reach && value <= q3 + reach);
    return {
      n: ordered.length, least: ordered[0], low: inside[0], q1, median, q3, high: inside[inside.length - 1],
      most: ordered[ordered.length - 1], mean: ordered.reduce((sum, value) => sum + value, 0) / ordered.length,
    };
  }

  /* Places of the points that no other beats in both: less cost, a better value. In order of their cost; equals stand there
     together. */
  function pareto(points, lowerIsBetter) {
    const better = (a, b) => (lowerIsBetter ? a < b : a > b);
    const order = points.map((_, index) => index).filter((index) => finite(points[index][0]) && finite(points[index][1]));
    order.sort((a, b) => points[a][0] - points[b][0] || (better(points[a][1], points[b][1]) ? -1 : 1));
    const front = [];
    let best = null;
    order.forEach((index) => {
      const [cost, value] = points[index];
      if (best && !better(value, best[1]) && !(cost === best[0] && value === best[1])) return;
      best = points[index];
      front.push(index);
    });
    return front;
  }

  /* Which points lie on the hull around all of them (Andrew's monotone chain), counter-clockwise. */
  function hull(points) {
    const ordered = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const turn = (o, a, b) => (a[0] - o[0]) * (b[1] - o[1]) - (a[1] - o[1]) * (b[0] - o[0]);
    const half = (list) => {
      const chain = [];
      list.forEach((point) => {
        while (chain.length > 1 && turn(chain[chain.length - 2], chain[chain.length - 1], point) <= 0) chain.pop();
        chain.push(point);
      });
      return chain.slice(0, -1);
    };
    return [...half(ordered), ...half(ordered.reverse())];
  }

  function inside(polygon, x, y) {
    return polygon.every(([ax, ay], index) => {
      const [bx, by] = polygon[(index + 1) % polygon.length];
      return (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= -1e-9;
    });
  }

  /* Shepard's interpolation: every point weighs by the inverse square of its distance. `points` are [x, y, value] with x
     and y from 0 to 1; the answer is rows (y) of columns (x), null outside of the points' hull. */
  function grid(points, size) {
    const around = hull(points.map(([x, y]) => [x, y]));
    const at = (x, y) => {
      let weights = 0;
      let sum = 0;
      for (const [px, py, value] of points) {
        const distance = (px - x) ** 2 + (py - y) ** 2;
        if (distance < 1e-12) return value;
        weights += 1 / distance;
        sum += value / distance;
      }
      return sum / weights;
    };
    const places = Array.from({ length: size }, (_, index) => index / (size - 1));
    return places.map((y) => places.map((x) => (inside(around, x, y) ? at(x, y) : null)));
  }

  /* Twice the area of the points' hull: 0 where they all lie on one line. */
  function spread(points) {
    const around = hull(points);
    return Math.abs(around.reduce((sum, [x, y], index) => {
      const [nx, ny] = around[(index + 1) % around.length];
      return sum + x * ny - nx * y;
    }, 0));
  }

  /* Curves over one common, ascending axis. A place where a curve says nothing is undefined (drawn through), one where its
     value is no number is null (a gap). A value of x that one curve has several times stands there as often. */
  function align(curves) {
    const [one, ...rest] = curves.map((curve) => curve.xs);
    if (!one) return [[]];
    if (rest.every((xs) => xs === one || (xs.length === one.length && xs.every((x, index) => x === one[index])))) {
      return [one, ...curves.map((curve) => curve.ys)];
    }
    const at = curves.map(() => 0);
    const all = Float64Array.from(curves.flatMap((curve) => curve.xs)).sort();
    const xs = [];
    const ys = curves.map(() => []);
    for (let place = 0; place < all.length; place += 1) {
      const x = all[place];
      if (place && x === all[place - 1]) continue;
      for (let more = true; more;) {
        more = false;
        const row = xs.length;
        xs.push(x);
        curves.forEach((curve, index) => {
          if (curve.xs[at[index]] === x) {
            ys[index][row] = curve.ys[at[index]];
            at[index] += 1;
            more = more || curve.xs[at[index]] === x;
          } else ys[index][row] = undefined;
        });
      }
    }
    return [xs, ...ys];
  }

  window.SlipwayCharts = Object.assign(window.SlipwayCharts || {}, {
    statistics: { smooth, quantile, box, pareto, hull, inside, grid, spread, align },
  });
})();
