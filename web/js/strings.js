// Every English sentence of the page, in one place.
export const strings = {
  counts: (n) => `${n.toLocaleString("en")} ${n === 1 ? "photo" : "photos"}`,
  seeding: (done, total) => `The catalogue is filling: ${done} of ${total} photos are in`,
  sampleBanner: ["These are drawings with a small demo model. With photos: ",
    "make demo SOURCE=<folder of photos>", " or ", "make demo SOURCE=oxford-pets"],
  anySpecies: "Any",
  anyBreed: "Any",
  option: (name, count) => `${name} (${count})`,
  latest: "Latest photos",
  resultsFor: (query) => `Best matches for “${query}”`,
  likePhoto: "Photos that look like yours",
  likeOne: "More like this",
  found: (n) => `${n} ${n === 1 ? "photo" : "photos"} found, best first.`,
  searching: "Searching…",
  likeChip: (name) => `like ${name}`,
  removeChip: "Search without this photo",
  moreLikeThis: "More like this",
  openPhoto: (breed) => `Open photo: ${breed}`,
  unknownBreed: "breed unknown",
  labelled: "as labelled",
  predicted: (confidence) => `looks like it, ${Math.round(confidence * 100)} % sure`,
  score: (score) => `match ${score.toFixed(2)}`,
  emptyTitle: "No good match",
  emptyText: "Nothing here fits. Try other words, fewer filters, or a photo.",
  noPhotosTitle: "No photos yet",
  noPhotosText: "Add some and they can be found a moment later.",
  addPhotos: "Add photos",
  clearFilters: "Clear the filters",
  errorTitle: "That did not work",
  offlineTitle: "The server does not answer",
  offlineText: "It may be starting, or stopped. Start it with: make demo",
  retry: "Try again",
  retryAfter: (s) => `Try again in ${s} seconds.`,
  close: "Close",
  facts: {
    breed: "Breed", species: "Species", filename: "File", status: "Status", animal: "Animal",
    tags: "Tags", size: "Size", taken: "Taken", added: "Added",
  },
  predictedInFull: (breed, confidence) =>
    `${breed} (predicted from the picture, ${Math.round(confidence * 100)} % sure)`,
  dropToSearch: "Drop one photo to search by it, several to add them",
  uploadTitle: "Adding photos",
  uploadSending: (sent, total) => `Sending ${sent} of ${total} …`,
  uploadWorking: (done, total) => `${done} of ${total} done`,
  uploadWaiting: (reason) => `Waiting: ${reason}`,
  uploadDone: (counts) => {
    const parts = [`${counts.ingested} added`];
    if (counts.duplicate) parts.push(`${counts.duplicate} were here already`);
    if (counts.refused) parts.push(`${counts.refused} refused`);
    if (counts.failed) parts.push(`${counts.failed} failed`);
    return `${parts.join(", ")}.`;
  },
  uploadProblems: "These were not added:",
  seeNewest: "See the newest photos",
};
