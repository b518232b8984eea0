import type { Picture } from './picture';

/** Draws I420 pictures (BT.601, limited range) into a canvas, scaled down to the box they are shown in. */
export interface Renderer {
  /** Draws `picture` as `width` x `height` device pixels. */
  draw(picture: Picture, width: number, height: number): void;
  dispose(): void;
}

const VERTEX = `
attribute vec2 corner;
varying vec2 place;
void main() {
  place = vec2(corner.x * 0.5 + 0.5, 0.5 - corner.y * 0.5);
  gl_Position = vec4(corner, 0.0, 1.0);
}`;

// ITU-R BT.601, limited range: Y 16..235, U and V 16..240 round 128.
const FRAGMENT = `
precision mediump float;
varying vec2 place;
uniform sampler2D planeY;
uniform sampler2D planeU;
uniform sampler2D planeV;
void main() {
  float y = 1.164384 * (texture2D(planeY, place).r - 0.0627451);
  float u = texture2D(planeU, place).r - 0.5019608;
  float v = texture2D(planeV, place).r - 0.5019608;
  gl_FragColor = vec4(y + 1.596027 * v, y - 0.391762 * u - 0.812968 * v, y + 2.017232 * u, 1.0);
}`;

type GL = WebGLRenderingContext | WebGL2RenderingContext;

/** What lives in the graphics memory, and is lost with the context. */
class Resources {
  private size = { width: 0, height: 0 };
  private planes: WebGLTexture[] = [];
  private format: number;
  private internal: number;
  private mipmaps: boolean;

  constructor(private gl: GL) {
    const two = typeof WebGL2RenderingContext !== 'undefined' && gl instanceof WebGL2RenderingContext;
    this.format = two ? gl.RED : gl.LUMINANCE;
    this.internal = two ? gl.R8 : gl.LUMINANCE;
    // WebGL 1 has no mipmaps for sizes that are not powers of two.
    this.mipmaps = two;

    const program = gl.createProgram();
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]] as const) {
      const shader = gl.createShader(kind);
      if (shader === null) return;
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer());
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 1, -1, -1, 1, 1, 1]), gl.STATIC_DRAW);
    const corner = gl.getAttribLocation(program, 'corner');
    gl.enableVertexAttribArray(corner);
    gl.vertexAttribPointer(corner, 2, gl.FLOAT, false, 0, 0);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);

    for (const [unit, name] of ['planeY', 'planeU', 'planeV'].entries()) {
      const texture = gl.createTexture();
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
      gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.LINEAR);
      gl.uniform1i(gl.getUniformLocation(program, name), unit);
      this.planes.push(texture);
    }
  }

  draw(picture: Picture, width: number, height: number) {
    const gl = this.gl;
    const halfWidth = (picture.width + 1) >> 1;
    const halfHeight = (picture.height + 1) >> 1;
    const fresh = this.size.width !== picture.width || this.size.height !== picture.height;
    this.size = { width: picture.width, height: picture.height };
    // Much smaller than the picture, plain sampling would shimmer.
    const shrunk = this.mipmaps && width * 2 < picture.width;
    this.upload(0, picture.width, picture.height, picture.y, fresh, shrunk);
    this.upload(1, halfWidth, halfHeight, picture.u, fresh, shrunk);
    this.upload(2, halfWidth, halfHeight, picture.v, fresh, shrunk);
    gl.viewport(0, 0, width, height);
    gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
  }

  private upload(unit: number, width: number, height: number, plane: Uint8Array, fresh: boolean, shrunk: boolean) {
    const gl = this.gl;
    gl.activeTexture(gl.TEXTURE0 + unit);
    if (fresh) gl.texImage2D(gl.TEXTURE_2D, 0, this.internal, width, height, 0, this.format, gl.UNSIGNED_BYTE, plane);
    else gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, width, height, this.format, gl.UNSIGNED_BYTE, plane);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, shrunk ? gl.LINEAR_MIPMAP_LINEAR : gl.LINEAR);
    if (shrunk) gl.generateMipmap(gl.TEXTURE_2D);
  }
}

class WebGLRenderer implements Renderer {
  private resources: Resources | null;
  private last: [Picture, number, number] | null = null;

  constructor(
    private canvas: HTMLCanvasElement,
    private gl: GL,
  ) {
    this.resources = new Resources(gl);
    canvas.addEventListener('webglcontextlost', this.lost);
    canvas.addEventListener('webglcontextrestored', this.restored);
  }

  draw(picture: Picture, width: number, height: number) {
    // Kept for a context that comes back while the picture stands still.
    this.last = [picture, width, height];
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
    }
    this.resources?.draw(picture, width, height);
  }

  dispose() {
    this.canvas.removeEventListener('webglcontextlost', this.lost);
    this.canvas.removeEventListener('webglcontextrestored', this.restored);
    this.resources = null;
    // Browsers keep few contexts alive: give this one back now rather than at the next collection.
    this.gl.getExtension('WEBGL_lose_context')?.loseContext();
  }

  private lost = (event: Event) => {
    // Without this the context never comes back.
    event.preventDefault();
    this.resources = null;
  };

  private restored = () => {
    this.resources = new Resources(this.gl);
    if (this.last !== null) this.resources.draw(...this.last);
  };
}

/** For webviews without WebGL: slower, but a picture. */
class PlainRenderer implements Renderer {
  private image: ImageData | null = null;

  constructor(
    private canvas: HTMLCanvasElement,
    private context: CanvasRenderingContext2D,
  ) {}

  draw(picture: Picture) {
    const { width, height } = picture;
    if (this.image === null || this.image.width !== width || this.image.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.image = this.context.createImageData(width, height);
    }
    toRgba(picture, this.image.data);
    this.context.putImageData(this.image, 0, 0);
  }

  dispose() {
    this.image = null;
  }
}

/** Converts I420 (BT.601, limited range) to RGBA, `4 * width * height` bytes. */
export function toRgba(picture: Picture, out: Uint8ClampedArray) {
  const { width, height, y, u, v } = picture;
  const halfWidth = (width + 1) >> 1;
  let at = 0;
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const chroma = (row >> 1) * halfWidth + (column >> 1);
      const luma = 1.164384 * ((y[row * width + column] ?? 16) - 16);
      const blue = (u[chroma] ?? 128) - 128;
      const red = (v[chroma] ?? 128) - 128;
      out[at] = luma + 1.596027 * red;
      out[at + 1] = luma - 0.391762 * blue - 0.812968 * red;
      out[at + 2] = luma + 2.017232 * blue;
      out[at + 3] = 255;
      at += 4;
    }
  }
}

/** The best renderer this webview has; `null` when it can draw into no canvas at all. */
export function createRenderer(canvas: HTMLCanvasElement): Renderer | null {
  const options: WebGLContextAttributes = { alpha: false, antialias: false, depth: false, stencil: false };
  const gl = (canvas.getContext('webgl2', options) ?? canvas.getContext('webgl', options)) as GL | null;
  if (gl !== null) return new WebGLRenderer(canvas, gl);
  const context = canvas.getContext('2d', { alpha: false });
  return context === null ? null : new PlainRenderer(canvas, context);
}

/**
 * The size, in device pixels, of the drawing for a picture shown in a box: never more pixels than the picture has,
 * never more than the box shows.
 */
export function drawingSize(
  picture: { width: number; height: number },
  box: { width: number; height: number },
  fit: 'cover' | 'contain',
): { width: number; height: number } {
  const across = box.width / picture.width;
  const down = box.height / picture.height;
  const scale = Math.min(1, fit === 'cover' ? Math.max(across, down) : Math.min(across, down));
  return {
    width: Math.max(1, Math.round(picture.width * scale)),
    height: Math.max(1, Math.round(picture.height * scale)),
  };
}
