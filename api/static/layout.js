// A layered drawing of a graph, left to right: layers by longest path, crossings made few by sweeps of medians, long
// arrows led through the layers between. A layer too tall for any screen stands in several columns, and the arrows
// that pass a column go between its jobs. Pure: positions in, coordinates out.

const SWEEPS = 10;
// So many jobs stand in one column at most, as long as the columns of a layer are no more than that.
const ROWS = 30;
const MOST_COLUMNS = 6;
// Between two arrows that pass a column one above the other.
const LANE = 4;

// widths: of each job; a column is as wide as its widest.
export function layered(count, arrows, size, widths) {
  const { height, gapX, gapY } = size;
  const depth = depths(count, arrows);
  const linked = new Array(count).fill(false);
  for (const [from, to] of arrows) { linked[from] = true; linked[to] = true; }
  let order = [];
  for (let index = 0; index < count; index += 1) if (linked[index]) order.push(index);
  let drawn = columns(order, depth, arrows);
  const rank = split(drawn.layers, depth);
  if (rank !== null) {
    order = drawn.layers.flat().filter((node) => node.index >= 0).map((node) => node.index);
    drawn = columns(order, rank, arrows);
  }
  const { layers, nodes, routes } = drawn;
  for (const layer of layers) place(layer, height, gapY);
  for (let pass = 0; pass < 8; pass += 1) {
    const sides = pass % 2 === 0 ? layers : layers.slice().reverse();
    for (const layer of sides) settle(layer, pass % 2 === 0 ? "before" : "after");
  }
  let top = Infinity;
  for (const layer of layers) for (const node of layer) top = Math.min(top, node.y - (node.isDummy ? 0 : height / 2));
  let bottom = 0;
  let right = 0;
  for (const layer of layers) {
    const width = Math.max(0, ...layer.map((node) => node.isDummy ? 0 : widths[node.index]));
    for (const node of layer) {
      node.y -= top;
      node.x = right;
      node.width = width;
      bottom = Math.max(bottom, node.y + (node.isDummy ? 0 : height / 2));
    }
    right += width + gapX;
  }
  right = Math.max(0, right - gapX);
  const paths = routes.map((route) => curve(route, gapX));
  const boxes = [];
  for (const node of nodes) if (node) boxes[node.index] = { x: node.x, y: node.y - height / 2, width: node.width };
  // Jobs without any arrow: rows below, as wide as the rest.
  const alone = [];
  for (let index = 0; index < count; index += 1) if (!linked[index]) alone.push(index);
  const width = Math.max(0, ...alone.map((index) => widths[index]));
  const across = Math.max(Math.floor((right + gapY * 2) / (width + gapY * 2)), Math.min(6, Math.ceil(Math.sqrt(alone.length))), 1);
  const begin = layers.length ? bottom + gapY * 2 : 0;
  alone.forEach((index, at) => {
    boxes[index] = { x: (at % across) * (width + gapY * 2), y: begin + Math.floor(at / across) * (height + gapY), width };
    bottom = Math.max(bottom, boxes[index].y + height);
    right = Math.max(right, boxes[index].x + width);
  });
  return { nodes: boxes, width: right, height: bottom, paths };
}

// The jobs by their ranks, in an order of few crossings, with a place for each arrow that passes.
function columns(order, rank, arrows) {
  const layers = [];
  const nodes = [];
  for (const index of order) {
    nodes[index] = { index, layer: rank[index], before: [], after: [], isDummy: false };
    (layers[rank[index]] = layers[rank[index]] || []).push(nodes[index]);
  }
  // The arrows of one job share their way as far as they have the same.
  const lanes = new Map();
  const routes = arrows.map(([from, to]) => {
    const route = [nodes[from]];
    const lane = lanes.get(from) || [];
    lanes.set(from, lane);
    for (let layer = rank[from] + 1; layer < rank[to]; layer += 1) {
      const step = layer - rank[from] - 1;
      if (lane.length <= step) {
        const dummy = { index: -1, layer, before: [route[route.length - 1]], after: [], isDummy: true };
        route[route.length - 1].after.push(dummy);
        layers[layer].push(dummy);
        lane.push(dummy);
      }
      route.push(lane[step]);
    }
    route[route.length - 1].after.push(nodes[to]);
    nodes[to].before.push(route[route.length - 1]);
    route.push(nodes[to]);
    return route;
  });
  layers.forEach(renumber);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : layers.slice().reverse()) {
      for (const node of layer) node.key = median((down ? node.before : node.after).map((other) => other.order), node.order);
      layer.sort((a, b) => a.key - b.key || a.order - b.order);
      renumber(layer);
    }
  }
  return { layers, nodes, routes };
}

// New ranks where a layer is too tall: neighbours go to columns side by side. null = every layer fits.
function split(layers, depth) {
  const rank = depth.slice();
  let shift = 0;
  layers.forEach((layer, at) => {
    const real = layer.filter((node) => !node.isDummy);
    const wanted = Math.min(MOST_COLUMNS, Math.ceil(real.length / ROWS));
    real.forEach((node, row) => { rank[node.index] = at + shift + row % Math.max(1, wanted); });
    shift += Math.max(0, wanted - 1);
  });
  return shift ? rank : null;
}

export function depths(count, arrows) {
  const after = Array.from({ length: count }, () => []);
  const blocked = new Array(count).fill(0);
  for (const [from, to] of arrows) { after[from].push(to); blocked[to] += 1; }
  const depth = new Array(count).fill(0);
  const ready = [];
  blocked.forEach((number, index) => { if (!number) ready.push(index); });
  for (let at = 0; at < ready.length; at += 1) {
    for (const other of after[ready[at]]) {
      depth[other] = Math.max(depth[other], depth[ready[at]] + 1);
      blocked[other] -= 1;
      if (!blocked[other]) ready.push(other);
    }
  }
  return depth;
}

function renumber(layer) {
  layer.forEach((node, order) => { node.order = order; });
}

function median(values, fallback) {
  if (!values.length) return fallback;
  values.sort((a, b) => a - b);
  const middle = values.length >> 1;
  return values.length % 2 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// One below the other: `y` is the middle, `offset` how far below the first it is at least.
function place(layer, height, gapY) {
  let offset = 0;
  layer.forEach((node, row) => {
    const above = layer[row - 1];
    if (above) offset += (above.isDummy ? 0 : height / 2) + (node.isDummy ? 0 : height / 2) + (above.isDummy && node.isDummy ? LANE : gapY);
    node.offset = offset;
    node.y = offset;
  });
}

// Move each node of a layer towards its neighbours, in order and never closer than they may be.
function settle(layer, side) {
  // Blocks of nodes that would overlap share the mean of what they want.
  const blocks = [];
  layer.forEach((node, row) => {
    const others = node[side];
    const want = others.length ? others.reduce((sum, other) => sum + other.y, 0) / others.length : node.y;
    let block = { first: row, size: 1, sum: want - node.offset };
    while (blocks.length && blocks[blocks.length - 1].sum / blocks[blocks.length - 1].size >= block.sum / block.size) {
      const before = blocks.pop();
      block = { first: before.first, size: before.size + block.size, sum: before.sum + block.sum };
    }
    blocks.push(block);
  });
  for (const block of blocks) {
    const begin = block.sum / block.size;
    for (let row = block.first; row < block.first + block.size; row += 1) layer[row].y = begin + layer[row].offset;
  }
}

function curve(route, gapX) {
  let path = "";
  for (let step = 1; step < route.length; step += 1) {
    const from = route[step - 1];
    const to = route[step];
    const x1 = Math.round(from.x + from.width), y1 = Math.round(from.y), x2 = Math.round(to.x), y2 = Math.round(to.y);
    const bend = Math.round(gapX * 0.55);
    path += (step === 1 ? "M" + x1 + " " + y1 : "H" + x1) + (y1 === y2 ? "H" + x2 : "C" + (x1 + bend) + " " + y1 + " " + (x2 - bend) + " " + y2 + " " + x2 + " " + y2);
  }
  return path;
}
