/** Both processors; `sound-worklet.js` beside the client is this file with all that it imports, made by tests/web. */

import "./player.js";
import "./recorder.js";
