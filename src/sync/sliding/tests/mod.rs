mod connections;
mod extensions;
mod filters;
mod lists;
mod model;
mod rooms;
