// A layered drawing of a graph, left to right: layers by longest path, crossings made few by sweeps of medians, long
// arrows led through the layers between. Pure: positions in, coordinates out.

const SWEEPS = 10;

export function layered(count, arrows, size) {
  const { width, height, gapX, gapY } = size;
  const depth = depths(count, arrows);
  const linked = new Array(count).fill(false);
  for (const [from, to] of arrows) { linked[from] = true; linked[to] = true; }
  const layers = [];
  const nodes = [];
  for (let index = 0; index < count; index += 1) {
    nodes.push({ index, layer: depth[index], before: [], after: [], isDummy: false });
    if (linked[index]) (layers[depth[index]] = layers[depth[index]] || []).push(nodes[index]);
  }
  const routes = arrows.map(([from, to]) => {
    const route = [nodes[from]];
    for (let layer = depth[from] + 1; layer < depth[to]; layer += 1) {
      const dummy = { index: -1, layer, before: [], after: [], isDummy: true };
      layers[layer].push(dummy);
      route.push(dummy);
    }
    route.push(nodes[to]);
    for (let step = 1; step < route.length; step += 1) {
      route[step - 1].after.push(route[step]);
      route[step].before.push(route[step - 1]);
    }
    return route;
  });
  layers.forEach(renumber);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const down = sweep % 2 === 0;
    const order = down ? layers : layers.slice().reverse();
    for (const layer of order) {
      for (const node of layer) node.key = median((down ? node.before : node.after).map((other) => other.order), node.order);
      layer.sort((a, b) => a.key - b.key || a.order - b.order);
      renumber(layer);
    }
  }
  const pitch = height + gapY;
  for (const layer of layers) layer.forEach((node, row) => { node.y = row * pitch; });
  for (let pass = 0; pass < 8; pass += 1) {
    const order = pass % 2 === 0 ? layers : layers.slice().reverse();
    for (const layer of order) settle(layer, pass % 2 === 0 ? "before" : "after", pitch);
  }
  let top = Infinity;
  for (const layer of layers) for (const node of layer) top = Math.min(top, node.y);
  let bottom = 0;
  const step = width + gapX;
  for (const layer of layers) {
    for (const node of layer) {
      node.y -= top;
      node.x = node.layer * step;
      bottom = Math.max(bottom, node.y + height);
    }
  }
  // Jobs without any arrow: rows below, as wide as the rest.
  const alone = nodes.filter((node) => !linked[node.index]);
  const columns = Math.max(layers.length, Math.min(6, Math.ceil(Math.sqrt(alone.length))), 1);
  const begin = layers.length ? bottom + gapY * 2 : 0;
  alone.forEach((node, place) => {
    node.x = (place % columns) * (width + gapY * 2);
    node.y = begin + Math.floor(place / columns) * pitch;
    bottom = Math.max(bottom, node.y + height);
  });
  const right = Math.max(0, ...nodes.map((node) => node.x + width));
  return { nodes, width: right, height: bottom, paths: routes.map((route) => curve(route, width, height, gapX)) };
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

// Move each node of a layer towards its neighbours, in order and never closer than the pitch.
function settle(layer, side, pitch) {
  const wanted = layer.map((node) => {
    const others = node[side];
    return others.length ? others.reduce((sum, other) => sum + other.y, 0) / others.length : node.y;
  });
  // Blocks of nodes that would overlap share the mean of what they want.
  const blocks = [];
  wanted.forEach((want, row) => {
    let block = { first: row, size: 1, sum: want - row * pitch };
    while (blocks.length && blocks[blocks.length - 1].sum / blocks[blocks.length - 1].size >= block.sum / block.size) {
      const before = blocks.pop();
      block = { first: before.first, size: before.size + block.size, sum: before.sum + block.sum };
    }
    blocks.push(block);
  });
  for (const block of blocks) {
    const begin = block.sum / block.size;
    for (let row = block.first; row < block.first + block.size; row += 1) layer[row].y = begin + row * pitch;
  }
}

function curve(route, width, height, gapX) {
  const middle = height / 2;
  let path = "";
  for (let step = 1; step < route.length; step += 1) {
    const from = route[step - 1];
    const to = route[step];
    const x1 = from.x + width, y1 = from.y + middle, x2 = to.x, y2 = to.y + middle;
    const bend = gapX * 0.55;
    path += (step === 1 ? "M" + x1 + " " + y1 : "L" + x1 + " " + y1) + "C" + (x1 + bend) + " " + y1 + " " + (x2 - bend) + " " + y2 + " " + x2 + " " + y2;
  }
  return path;
}
