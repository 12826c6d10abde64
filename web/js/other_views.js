// What the page needs beyond a search: fetched once the first photos are shown, so that it delays none.
import * as add from "./views/add.js";
import * as job from "./views/job.js";
import * as operator from "./views/operator.js";
import * as photo from "./views/photo.js";
import { hasDrafts } from "./photo_edit.js";
import { uploads } from "./upload.js";

export { openPhotoDialog } from "./photo_dialog.js";
export const views = { photo, add, job, operator };
export const addFiles = add.takeFiles;
// Whether closing the page would lose what was typed or is still to be sent.
export const isUnsaved = () => hasDrafts() || add.isSending() || [...uploads.values()].some((upload) => !upload.isOver);

add.connect();
operator.connect();
