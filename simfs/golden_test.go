package simfs

// goldenHash is TestHashIsOfSets's image in every process and on every platform.
const goldenHash = "0aee6ff662330e7eb88b5baeccd30610"
